/**
 * Reads a pickle of plain data: dictionaries, lists, tuples, strings, bytes, numbers, and NumPy arrays of bytes. Unlike Python's
 * reader it runs no code: a name that it doesn't know is an error. Strings of Python 2 are read as Latin-1.
 *
 * The opcodes are those of protocols 2 to 4 as the documentation of Python's `pickletools` lists them.
 */

/** A NumPy array of unsigned bytes, in row-major order; `values` is a view of the file's bytes. */
export interface ByteArray {
  readonly shape: readonly number[];
  readonly values: Uint8Array;
}

/** What a pickle may hold. */
export type Pickled =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | ByteArray
  | readonly Pickled[]
  | ReadonlyMap<Pickled, Pickled>;

/** Whether a value is an array of bytes. */
export function isByteArray(value: unknown): value is ByteArray {
  return value instanceof UnfinishedArray;
}

/** A NumPy array: its shape and bytes come after it has been made. */
class UnfinishedArray implements ByteArray {
  shape: readonly number[] = [];
  values: Uint8Array = new Uint8Array();
}

/** A NumPy type; only unsigned bytes are read. */
class ElementType {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A name of Python's, to be called. */
class GlobalName {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const MARK: unique symbol = Symbol('mark');
type Item = Pickled | UnfinishedArray | ElementType | GlobalName | typeof MARK | Item[] | Map<Item, Item>;

/**
 * Reads a pickle.
 *
 * @throws Error naming the offset and the reason if it is damaged, or holds something else than plain data
 */
export function readPickle(bytes: Uint8Array): Pickled {
  const reader = new PickleReader(bytes);
  try {
    return reader.read() as Pickled;
  } catch (error) {
    throw new Error(`at byte ${reader.offset}: ${(error as Error).message}`, { cause: error });
  }
}

class PickleReader {
  offset = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #stack: Item[] = [];
  readonly #memo = new Map<number, Item>();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): Item {
    for (;;) {
      const opcode = String.fromCharCode(this.#number(1));
      if (opcode === '.') return this.#pop();
      this.#do(opcode);
    }
  }

  #do(opcode: string): void {
    const literal = this.#literal(opcode);
    if (literal !== undefined) {
      this.#stack.push(literal);
      return;
    }
    switch (opcode) {
      case '\x80': // PROTO
        this.offset += 1;
        return;
      case '\x95': // FRAME
        this.offset += 8;
        return;
      case 'q': // BINPUT
        this.#memo.set(this.#number(1), this.#top());
        return;
      case 'r': // LONG_BINPUT
        this.#memo.set(this.#number(4), this.#top());
        return;
      case '\x94': // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case 'a': // APPEND
        this.#append([this.#pop()]);
        return;
      case 'e': // APPENDS
        this.#append(this.#sinceMark());
        return;
      case 's': // SETITEM
        this.#setItems(this.#last(2));
        return;
      case 'u': // SETITEMS
        this.#setItems(this.#sinceMark());
        return;
      case 'b': // BUILD
        this.#build(this.#pop());
        return;
      default:
        throw new Error(`this is no pickle of plain data (opcode ${JSON.stringify(opcode)})`);
    }
  }

  /** What an opcode pushes; undefined if it isn't one that pushes. */
  #literal(opcode: string): Item | undefined {
    switch (opcode) {
      case 'N':
        return null;
      case '\x88':
        return true;
      case '\x89':
        return false;
      case 'K':
        return this.#number(1);
      case 'M':
        return this.#number(2);
      case 'J':
        return this.#take(4).getInt32(0, true);
      case '\x8a': // LONG1
        return this.#long(this.#number(1));
      case 'G':
        return this.#take(8).getFloat64(0);
      case 'U': // SHORT_BINSTRING
        return this.#raw(this.#number(1));
      case 'T': // BINSTRING
        return this.#raw(this.#number(4));
      case 'C': // SHORT_BINBYTES
        return this.#raw(this.#number(1));
      case 'B': // BINBYTES
        return this.#raw(this.#number(4));
      case '\x8e': // BINBYTES8
        return this.#raw(this.#number(8));
      case '\x8c': // SHORT_BINUNICODE
        return text(this.#raw(this.#number(1)));
      case 'X': // BINUNICODE
        return text(this.#raw(this.#number(4)));
      case '\x8d': // BINUNICODE8
        return text(this.#raw(this.#number(8)));
      case ']':
        return [];
      case '}':
        return new Map();
      case ')':
        return [];
      case '(':
        return MARK;
      case 't':
      case 'l':
        return this.#sinceMark();
      case '\x85':
        return this.#last(1);
      case '\x86':
        return this.#last(2);
      case '\x87':
        return this.#last(3);
      case 'h':
        return this.#remembered(this.#number(1));
      case 'j':
        return this.#remembered(this.#number(4));
      case 'c': // GLOBAL
        return new GlobalName(`${this.#line()}.${this.#line()}`);
      case '\x93': {
        // STACK_GLOBAL
        const [module, name] = this.#last(2);
        return new GlobalName(`${asText(module)}.${asText(name)}`);
      }
      case 'R': // REDUCE
        return this.#call();
      default:
        return undefined;
    }
  }

  /** The calls that pickled arrays consist of. */
  #call(): Item {
    const [callee, list] = this.#last(2);
    const called = callee instanceof GlobalName ? callee.name : 'something';
    const given = list as Item[];
    if (/^numpy\.(_?core)\.multiarray\._reconstruct$/.test(called)) return new UnfinishedArray();
    if (called === 'numpy.dtype') return new ElementType(asText(given[0]));
    // How Python 3 writes bytes in protocol 2.
    if (called === '_codecs.encode') return Uint8Array.from(asText(given[0]), (letter) => letter.charCodeAt(0));
    throw new Error(`it asks to call ${called}, which is no plain data`);
  }

  /** Gives an array its content, or a type its details. */
  #build(state: Item): void {
    const target = this.#top();
    if (target instanceof ElementType) return;
    if (!(target instanceof UnfinishedArray)) throw new Error('it sets the state of something that is no array');
    const [, shape, type, isColumnMajor, values] = state as [Item, number[], ElementType, boolean, Uint8Array];
    if (type.name !== 'u1' && type.name !== '|u1')
      throw new Error(`an array has elements of type ${type.name} instead of u1`);
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (isColumnMajor || !(values instanceof Uint8Array) || values.length !== size) {
      throw new Error(`an array of shape [${shape}] has other values than ${size} bytes in row-major order`);
    }
    target.shape = shape;
    target.values = values;
  }

  #append(items: Item[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw new Error('it appends to something that is no list');
    for (const item of items) list.push(item);
  }

  #setItems(items: Item[]): void {
    const dictionary = this.#top();
    if (!(dictionary instanceof Map)) throw new Error('it sets an item of something that is no dictionary');
    for (let i = 0; i + 1 < items.length; i += 2) {
      const key = items[i];
      dictionary.set(key instanceof Uint8Array ? asText(key) : (key as Item), items[i + 1] as Item);
    }
  }

  #remembered(index: number): Item {
    const item = this.#memo.get(index);
    if (item === undefined) throw new Error(`it refers to item ${index}, which isn't there`);
    return item;
  }

  #top(): Item {
    const item = this.#stack.at(-1);
    if (item === undefined) throw new Error('it takes something where there is nothing');
    return item;
  }

  #pop(): Item {
    const item = this.#top();
    this.#stack.pop();
    return item;
  }

  #last(count: number): Item[] {
    if (this.#stack.length < count) throw new Error('it takes something where there is nothing');
    return this.#stack.splice(this.#stack.length - count);
  }

  #sinceMark(): Item[] {
    const place = this.#stack.lastIndexOf(MARK);
    if (place < 0) throw new Error('it takes something where there is nothing');
    const items = this.#stack.splice(place);
    return items.slice(1);
  }

  #take(count: number): DataView {
    if (this.offset + count > this.#bytes.length) throw new Error('the file ends too early');
    const begin = this.#view.byteOffset + this.offset;
    this.offset += count;
    return new DataView(this.#view.buffer, begin, count);
  }

  #raw(count: number): Uint8Array {
    const { buffer, byteOffset, byteLength } = this.#take(count);
    return new Uint8Array(buffer, byteOffset, byteLength);
  }

  /** An unsigned number of 1, 2, 4 or 8 bytes, the lowest first. */
  #number(count: number): number {
    const view = this.#take(count);
    let number = 0;
    for (let i = count - 1; i >= 0; i--) number = number * 256 + view.getUint8(i);
    return number;
  }

  /** A signed number of any length, the lowest byte first. */
  #long(count: number): number {
    const magnitude = this.#number(count);
    return count > 0 && magnitude >= 2 ** (8 * count - 1) ? magnitude - 2 ** (8 * count) : magnitude;
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.offset);
    if (end < 0) throw new Error('the file ends too early');
    const line = text(this.#bytes.subarray(this.offset, end));
    this.offset = end + 1;
    return line;
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A string, also where Python 2 wrote it as bytes. */
function asText(item: Item | undefined): string {
  if (typeof item === 'string') return item;
  if (item instanceof Uint8Array) return String.fromCharCode(...item);
  throw new Error('there is something else where a name is expected');
}
