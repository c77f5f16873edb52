import { zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { decode, encode } from "#src/store/checkpoint-body.ts";

it("a body of any size is a zstd frame that gives the state back; a changed byte never gives another state", () => {
  const state = fc.record({ text: fc.string({ unit: "grapheme" }), length: fc.nat(9_000) });
  fc.assert(
    fc.property(state, fc.nat(), ({ text, length }, at) => {
      const value = { text, filler: "x".repeat(length) };
      const { body, hash, rawBytes } = encode(value);
      expect(zstdDecompressSync(body).length).toBe(rawBytes);
      expect(decode(body, hash)).toEqual(value);
      const changed = Uint8Array.from(body);
      changed[at % body.length] = ((changed[at % body.length] ?? 0) + 1) % 256;
      let restored: unknown = value;
      try {
        restored = decode(changed, hash);
      } catch {
        // Noticed.
      }
      expect(restored).toEqual(value);
    }),
  );
});
