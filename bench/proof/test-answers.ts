/** Tests that the scripted model writes where no recorded call of a function kills a mutant. */
export const sqidsTests = `import Sqids from '../sqids'

describe('limits', () => {
  it.each([
    [{ alphabet: 'ë1092' }, 'Alphabet cannot contain multibyte characters'],
    [{ alphabet: 'ab' }, 'Alphabet length must be at least 3'],
    [{ alphabet: 'aabcdefg' }, 'Alphabet must contain unique characters'],
    [{ minLength: -1 }, 'Minimum length has to be between 0 and 255'],
    [{ minLength: 256 }, 'Minimum length has to be between 0 and 255'],
  ])('%o is refused', (options, message) => {
    expect(() => new Sqids(options)).toThrow(new Error(message))
  })

  it('the bounds themselves are accepted', () => {
    expect(new Sqids({ alphabet: 'abc' }).decode(new Sqids({ alphabet: 'abc' }).encode([7]))).toEqual([7])
    expect(new Sqids({ minLength: 255 }).encode([1])).toHaveLength(255)
    expect(new Sqids({ minLength: 0 }).encode([Number.MAX_SAFE_INTEGER, 0])).not.toBe('')
  })

  it('numbers outside of the range are refused', () => {
    const message = 'Encoding supports numbers between 0 and 9007199254740991'
    for (const number of [-1, Number.MAX_SAFE_INTEGER + 1])
      expect(() => new Sqids().encode([number])).toThrow(new Error(message))
  })

  it('foreign characters and empty texts give nothing', () => {
    expect([new Sqids().decode('*'), new Sqids().decode(''), new Sqids().encode([])]).toEqual([[], [], ''])
  })

  it('short words of the blocklist count only alone', () => {
    const id = new Sqids({ blocklist: new Set() }).encode([1, 2, 3])
    expect(new Sqids({ blocklist: new Set([id.slice(0, 3)]) }).encode([1, 2, 3])).toBe(id)
    expect(new Sqids({ blocklist: new Set([id.slice(0, 2)]) }).encode([1, 2, 3])).toBe(id)
    expect(new Sqids({ blocklist: new Set([id.slice(0, 4).toUpperCase()]) }).encode([1, 2, 3])).not.toBe(id)
    expect(new Sqids({ blocklist: new Set([id]) }).encode([1, 2, 3])).not.toBe(id)
  })

  it('gives up once every offset is blocked', () => {
    const sqids = new Sqids({ alphabet: 'abc', minLength: 3, blocklist: new Set(['cab', 'abc', 'bca']) })
    expect(() => sqids.encode([0])).toThrow(new Error('Reached max attempts to re-generate the ID'))
  })
})
`;

export const cdrTests = `import { CdrReader } from "./CdrReader";
import { CdrWriter } from "./CdrWriter";
import { EncapsulationKind } from "./EncapsulationKind";

const values = {
  int8: -3,
  uint8: 250,
  int16: -300,
  uint16: 65000,
  int32: -70000,
  uint32: 4000000000,
  int64: -5000000000n,
  uint64: 18000000000000000000n,
  float32: 0.5,
  float64: -1.25,
  string: "text",
} as const;
const names = Object.keys(values) as (keyof typeof values)[];
const { CDR_BE, CDR_LE, CDR2_BE, CDR2_LE } = EncapsulationKind;

describe("round trips", () => {
  it.each([CDR_BE, CDR_LE, CDR2_BE, CDR2_LE])("kind %s, after a byte that needs alignment", (kind) => {
    for (const name of names) {
      const writer = new CdrWriter({ kind });
      writer.uint8(1);
      (writer[name] as (value: unknown) => unknown).call(writer, values[name]);
      writer.uint8(9);
      const reader = new CdrReader(writer.data);
      expect([reader.kind, reader.uint8(), reader[name](), reader.uint8()]).toEqual([kind, 1, values[name], 9]);
      expect(reader.decodedBytes).toBe(reader.byteLength);
    }
  });

  it("a header alone can be read, less cannot", () => {
    expect(new CdrReader(new Uint8Array([0, 1, 0, 0])).offset).toBe(4);
    expect(() => new CdrReader(new Uint8Array(3))).toThrow("must contain at least a 4-byte header");
  });
});
`;
