import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type CorpusDescription, corpora } from '../../src/corpora/catalog.ts';
import {
  type Corpus,
  dataFolder,
  MissingDataError,
  openCorpus,
  openDescribedCorpus,
  textCorpus,
} from '../../src/corpora/corpus.ts';
import { charTokens, wordTokens } from '../../src/corpora/tokenize.ts';
import { answer, type FileServer, identityOf, serve, temporaryFolder, writeText } from './folder.ts';

const folder = temporaryFolder();
const encoder = new TextEncoder();
const texts = { 'train.txt': 'a b c\n'.repeat(40_000), 'valid.txt': 'a c\n', 'test.txt': 'b c d\n' };
const archive = zipSync({
  'small/': new Uint8Array(0),
  'small/README': encoder.encode('about this corpus'),
  'small/train.txt': encoder.encode(texts['train.txt']),
  'small/valid.txt': [encoder.encode(texts['valid.txt']), { level: 0 }],
  'small/test.txt': encoder.encode(texts['test.txt']),
});

/** A corpus in a zip archive on the given server. */
const describeSmall = (url: string): CorpusDescription => ({
  title: 'A small corpus',
  homepage: 'http://127.0.0.1',
  licence: 'none',
  source: { name: 'small.zip', url, ...identityOf(archive) },
  members: Object.entries(texts).map(([name, text]) => ({
    name,
    member: `small/${name}`,
    ...identityOf(encoder.encode(text)),
  })),
  splits: {
    train: { file: 'train.txt', begin: 6 },
    validation: { file: 'valid.txt' },
    test: { file: 'test.txt', begin: 2, end: 5 },
  },
});

let folders = 0;
const newDataDir = () => join(folder, `data-${folders++}`);
const open = (server: FileServer, dataDir: string, download = true) =>
  openDescribedCorpus('small', describeSmall(server.url), { dataDir, download, retryDelay: 1, retries: 1 });
const textOf = ({ splits }: Corpus) =>
  Object.values(splits).map(({ path, begin, end }) => readFileSync(path, 'utf8').slice(begin, end));
const expected = [texts['train.txt'].slice(6), texts['valid.txt'], 'c d'];

/** Warnings of this process, collected instead of printed. */
const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
afterEach(() => warnings.mockClear());

describe('openCorpus', () => {
  test('downloads and unpacks once', async () => {
    const server = await serve(archive);
    const dataDir = newDataDir();
    expect(textOf(await open(server, dataDir))).toEqual(expected);
    expect(textOf(await open(server, dataDir, false))).toEqual(expected);
    expect(server.ranges).toHaveLength(1);
    expect(existsSync(join(dataDir, 'small', 'README'))).toBe(false);
  });

  test('without the data and without a download says what to put where', async () => {
    const server = await serve(archive);
    const dataDir = newDataDir();
    const failure = open(server, dataDir, false);
    await expect(failure).rejects.toThrow(MissingDataError);
    const message = await failure.catch((error: Error) => error.message);
    expect(message).toContain('The corpus small is not on this machine and was not downloaded');
    expect(message).toContain(server.url);
    expect(message).toContain(identityOf(archive).checksum);
    expect(message).toContain(join(dataDir, 'small', 'small.zip'));
    expect(message).toContain('FWP_DATA_DIR');
    // Following the instructions works.
    mkdirSync(join(dataDir, 'small'), { recursive: true });
    writeFileSync(join(dataDir, 'small', 'small.zip'), archive);
    expect(textOf(await open(server, dataDir, false))).toEqual(expected);
    expect(server.ranges).toHaveLength(0);
  });

  test('a server that refuses leads to the same instructions', async () => {
    const server = await serve(archive);
    server.next.push(answer(403));
    await expect(open(server, newDataDir())).rejects.toThrow(/answered 403 Forbidden\.\nTo provide it by hand, fetch/);
  });

  test('a text with a wrong checksum is kept aside, with a warning, and made anew', async () => {
    const server = await serve(archive);
    const dataDir = newDataDir();
    await open(server, dataDir);
    const path = join(dataDir, 'small', 'valid.txt');
    writeFileSync(path, 'x y\n');
    expect(textOf(await open(server, dataDir))).toEqual(expected);
    expect(readFileSync(`${path}.corrupt`, 'utf8')).toBe('x y\n');
    expect(warnings).toHaveBeenCalledOnce();
    expect(warnings.mock.calls[0]?.[0]).toContain(`${path} has the checksum`);
    expect(server.ranges).toHaveLength(1);
  });

  test('a truncated archive is kept aside and fetched anew, or reported when that is impossible', async () => {
    const server = await serve(archive);
    const dataDir = newDataDir();
    mkdirSync(join(dataDir, 'small'), { recursive: true });
    const path = join(dataDir, 'small', 'small.zip');
    writeFileSync(path, archive.subarray(0, 500));
    await expect(open(server, dataDir, false)).rejects.toThrow('downloads are switched off');
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(`${path}.corrupt`)).toHaveLength(500);
    expect(warnings.mock.calls[0]?.[0]).toContain(`has 500 bytes where ${archive.length} were expected`);
    writeFileSync(path, archive.subarray(0, 500));
    expect(textOf(await open(server, dataDir))).toEqual(expected);
  });

  test('texts alone are enough; the archive is fetched only for what is missing', async () => {
    const server = await serve(archive);
    const dataDir = newDataDir();
    await open(server, dataDir);
    rmSync(join(dataDir, 'small', 'small.zip'));
    expect(textOf(await open(server, dataDir, false))).toEqual(expected);
    rmSync(join(dataDir, 'small', 'test.txt'));
    expect(textOf(await open(server, dataDir))).toEqual(expected);
    expect(server.ranges).toHaveLength(2);
  });

  test('an archive without one of the texts is an error that names it', async () => {
    const incomplete = zipSync({ 'small/train.txt': encoder.encode(texts['train.txt']) });
    const server = await serve(incomplete);
    const description = describeSmall(server.url);
    const source = { ...description.source, ...identityOf(incomplete) };
    const failure = openDescribedCorpus('small', { ...description, source }, { dataDir: newDataDir() });
    await expect(failure).rejects.toThrow('small.zip does not contain small/valid.txt, small/test.txt');
  });

  test('a damaged archive is an error; nothing of it is used', async () => {
    const damaged = archive.slice();
    damaged.fill(255, 200, 300);
    const server = await serve(damaged);
    const description = describeSmall(server.url);
    const source = { ...description.source, ...identityOf(damaged) };
    const dataDir = newDataDir();
    await expect(openDescribedCorpus('small', { ...description, source }, { dataDir })).rejects.toThrow();
    expect(existsSync(join(dataDir, 'small', 'train.txt'))).toBe(false);
  });

  test('a corpus of a single file needs no archive', async () => {
    const body = encoder.encode('to be or not to be');
    const server = await serve(body);
    const description: CorpusDescription = {
      title: '',
      homepage: '',
      licence: '',
      source: { name: 'input.txt', url: server.url, ...identityOf(body) },
      splits: {
        train: { file: 'input.txt', end: 5 },
        validation: { file: 'input.txt', begin: 5, end: 8 },
        test: { file: 'input.txt', begin: 8 },
      },
    };
    const dataDir = newDataDir();
    expect(textOf(await openDescribedCorpus('one', description, { dataDir }))).toEqual(['to be', ' or', ' not to be']);
    expect(textOf(await openDescribedCorpus('one', description, { dataDir, download: false }))).toHaveLength(3);
    expect(server.ranges).toHaveLength(1);
  });

  test('an unknown name is an error that lists the known ones', async () => {
    await expect(openCorpus('enwik9' as 'enwik8')).rejects.toThrow(
      'no corpus "enwik9"; there are enwik8, text8, tinyshakespeare, wikitext-2, wikitext-103',
    );
  });

  test('known corpora that are not there are looked for in FWP_DATA_DIR', async () => {
    vi.stubEnv('FWP_DATA_DIR', newDataDir());
    const path = join(dataFolder(), 'enwik8', 'enwik8.zip');
    await expect(openCorpus('enwik8', { download: false })).rejects.toThrow(path);
    vi.stubEnv('FWP_DATA_DIR', '');
    expect(dataFolder()).toMatch(/fwp/);
    vi.unstubAllEnvs();
  });
});

describe('corpora', () => {
  test('each has an address, checksums and splits that follow one another', () => {
    for (const { source, members = [], splits, licence } of Object.values(corpora)) {
      expect(new URL(source.url).protocol).toBe('https:');
      expect(licence).not.toBe('');
      expect(source.checksum).toMatch(/^sha256:[0-9a-f]{64}$/);
      for (const { checksum } of members) expect(checksum).toMatch(/^(sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40})$/);
      const names = [source, ...members].map(({ name }) => name);
      for (const { file } of Object.values(splits)) expect(names).toContain(file);
      if (splits.train.file !== splits.validation.file) continue;
      expect(splits.validation.begin).toBe(splits.train.end);
      expect(splits.test.begin).toBe(splits.validation.end);
    }
  });
});

describe('textCorpus', () => {
  test('divides a file 90 : 5 : 5, or as asked, without a gap', () => {
    const path = writeText(folder, 'hundred', '0123456789'.repeat(10));
    const sizes = (corpus: Corpus) => Object.values(corpus.splits).map(({ begin, end }) => end - begin);
    expect(sizes(textCorpus(path))).toEqual([90, 5, 5]);
    expect(sizes(textCorpus(path, { validation: 0.2, test: 0 }))).toEqual([80, 20, 0]);
    expect(textOf(textCorpus(path)).join('')).toBe('0123456789'.repeat(10));
  });

  test('does not tear characters apart', () => {
    const text = 'äöü€𝄞'.repeat(50);
    const path = writeText(folder, 'utf-8', text);
    for (let percent = 1; percent < 50; percent++) {
      const { splits } = textCorpus(path, { validation: percent / 100, test: percent / 100 });
      const bytes = readFileSync(path);
      const parts = Object.values(splits).map(({ begin, end }) => bytes.subarray(begin, end).toString());
      expect(parts.join('')).toBe(text);
      expect(parts.join('')).not.toContain('\ufffd');
    }
  });

  test('leaves out a byte order mark at the beginning, and no other', () => {
    const text = `ab\ufeff${'c'.repeat(95)}`;
    const { vocabulary: characters, ...parts } = charTokens(textCorpus(writeText(folder, 'mark', `\ufeff${text}`)));
    const read = Object.values(parts).map((part) => characters.decode(part.read(0, part.length)));
    expect(read.map((part) => part.length)).toEqual([88, 5, 5]);
    expect(read.join('')).toBe(text);
    const words = writeText(folder, 'words', '\ufeffone two one');
    const { vocabulary } = wordTokens(textCorpus({ train: words, validation: words, test: words }));
    expect(vocabulary.words).toEqual(['<eos>', 'one', 'two', '<unk>']);
  });

  test('takes a file for each split', () => {
    const paths = {
      train: writeText(folder, 'train', 'abc'),
      validation: writeText(folder, 'validation', 'de'),
      test: writeText(folder, 'test', 'f'),
    };
    expect(textOf(textCorpus(paths))).toEqual(['abc', 'de', 'f']);
  });

  test('refuses what is not there, empty, or leaves nothing for training', () => {
    const refused = (path: string, message: string) => {
      expect(() => textCorpus(path)).toThrow(MissingDataError);
      expect(() => textCorpus(path)).toThrow(message);
    };
    refused(join(folder, 'nowhere'), `There is no file '${join(folder, 'nowhere')}'`);
    refused(folder, 'is a folder; expected a file');
    refused(writeText(folder, 'empty', ''), 'empty is empty');
    refused(writeText(folder, 'mark', '\ufeff'), 'mark is empty');
    const path = writeText(folder, 'some', 'some text');
    expect(() => textCorpus(path, { validation: 0.5, test: 0.5 })).toThrow('leave something for training');
  });
});
