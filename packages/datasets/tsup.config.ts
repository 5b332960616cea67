/** Build of @fwp/datasets: generators and environments, which run everywhere, and the corpora, which need Node. */
import { library } from '@fwp/tsup-config';

export default library({
  entry: { index: 'src/index.ts', corpora: 'src/corpora/index.ts', environments: 'src/environments/index.ts' },
});
