/** Our own peer: `node --import tsx fwp.ts native|wasm|webgpu|tensorflow threads` */

import { type DeviceName, device, dispose, init, synchronize } from '@fwp/core';
import { serve } from '../harness/serve.ts';
import { attentionPrograms } from '../programs/attention-programs.ts';
import { deltaRulePrograms } from '../programs/delta-rule-programs.ts';
import { currentEngine } from '../programs/engine.ts';
import { expertPrograms } from '../programs/expert-programs.ts';
import { fastRecurrencePrograms } from '../programs/fast-recurrence-programs.ts';
import { fwpOperations } from '../programs/fwp-operations.ts';
import { gpuPeakPrograms } from '../programs/gpu-peak-programs.ts';
import { linearAttentionPrograms } from '../programs/linear-attention-programs.ts';
import { memoryTest } from '../programs/memory-test.ts';
import { operationPrograms } from '../programs/operation-programs.ts';
import { peakPrograms } from '../programs/peak-programs.ts';
import { prefixPrograms } from '../programs/prefix-programs.ts';
import { quantizerPrograms } from '../programs/quantizer-programs.ts';
import { routingPrograms } from '../programs/routing-programs.ts';
import { rtrlPrograms } from '../programs/rtrl-programs.ts';
import { selfReferentialPrograms } from '../programs/self-referential-programs.ts';
import { trainingPrograms } from '../programs/training-programs.ts';

await init({ device: process.argv[2] as DeviceName, threads: Number(process.argv[3]) });
const { name, version, threads, simd } = device();

await serve({
  identity: { version, threads, detail: simd },
  programs: {
    ...(name === 'webgpu' ? gpuPeakPrograms : peakPrograms(threads)),
    ...operationPrograms(fwpOperations),
    ...deltaRulePrograms,
    ...linearAttentionPrograms,
    ...attentionPrograms,
    ...fastRecurrencePrograms,
    ...selfReferentialPrograms,
    ...prefixPrograms,
    ...quantizerPrograms,
    ...routingPrograms,
    ...expertPrograms,
    ...rtrlPrograms,
    ...trainingPrograms(fwpOperations),
  },
  memory: (steps, every) => memoryTest(fwpOperations, steps, every),
  profile: (run) => {
    const engine = currentEngine();
    engine.startProfile();
    run();
    return [...engine.stopProfile()].map(([name, row]) => ({ name, ...row }));
  },
  ...(['webgpu', 'tensorflow'].includes(name) ? { settle: synchronize } : {}),
  close: dispose,
});
