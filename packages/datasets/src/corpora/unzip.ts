/** Extraction of single files from zip archives, piece by piece, so that neither is ever in memory as a whole. */

import { createReadStream } from 'node:fs';
import { Unzip, UnzipInflate, UnzipPassThrough } from 'fflate';
import { CorruptDataError } from './checksum.ts';
import { namePart, type PartWriter, writePart } from './partial-file.ts';

/**
 * Extracts files from a zip archive. Each appears under its name only when it is complete.
 *
 * @param archive path of the archive
 * @param targets where each member of the archive is to go
 * @throws CorruptDataError if a member is missing or the archive is damaged
 */
export async function extractFromZip(archive: string, targets: ReadonlyMap<string, string>): Promise<void> {
  const missing = new Map(targets);
  let writing: { readonly path: string; readonly file: PartWriter } | undefined;
  // fflate hands over pieces while it is fed; they are written before it is fed again.
  const events: ({ readonly begin: string } | { readonly data: Uint8Array; readonly isLast: boolean })[] = [];
  const unzip = new Unzip((member) => {
    const path = missing.get(member.name);
    if (path === undefined) return;
    missing.delete(member.name);
    events.push({ begin: path });
    member.ondata = (error, data, isLast) => {
      if (error) throw error;
      events.push({ data, isLast });
    };
    member.start();
  });
  unzip.register(UnzipInflate);
  unzip.register(UnzipPassThrough);

  const write = async () => {
    for (const event of events.splice(0)) {
      if ('begin' in event) {
        writing = { path: event.begin, file: await writePart(event.begin) };
        continue;
      }
      const { path, file } = writing as NonNullable<typeof writing>;
      await file.write(event.data);
      if (!event.isLast) continue;
      writing = undefined;
      await file.close(true);
      await namePart(path);
    }
  };

  try {
    for await (const chunk of createReadStream(archive, { highWaterMark: 1 << 18 })) {
      unzip.push(chunk as Uint8Array);
      await write();
      if (missing.size === 0 && writing === undefined) return;
    }
    unzip.push(new Uint8Array(0), true);
    await write();
  } catch (error) {
    throw new CorruptDataError(archive, `${archive} can't be unpacked: ${(error as Error).message}`, { cause: error });
  } finally {
    await writing?.file.close(false);
  }
  const names = [...missing.keys()].join(', ');
  throw new CorruptDataError(
    archive,
    `${archive} ${names ? `does not contain ${names}` : 'ends in the middle of a file'}.`,
  );
}
