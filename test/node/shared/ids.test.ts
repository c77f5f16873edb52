import * as fc from "fast-check";
import { expect, it } from "vitest";
import { uuidv4, uuidv7 } from "#src/shared/ids.ts";

const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });

it("an id is a UUIDv7 (RFC 9562): it holds its time, its version and its variant", () => {
  // The example of RFC 9562, appendix A.6.
  const random = Uint8Array.from([0, 0, 0, 0, 0, 0, 0xcc, 0x3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f]);
  expect(uuidv7(0x017f22e279b0, random)).toBe("017f22e2-79b0-7c03-98c4-dc0c0c07398f");
});

it("ids sort by time, whatever is random in them, and the random bytes are not changed", () => {
  const time = fc.nat({ max: 2 ** 48 - 2 });
  fc.assert(
    fc.property(time, bytes, bytes, (now, one, two) => {
      const before = [...one];
      expect(uuidv7(now, one) < uuidv7(now + 1, two)).toBe(true);
      expect([...one]).toEqual(before);
      expect(uuidv7(now, one)).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    }),
  );
});

it("a program that knows no UUIDv7 gets a UUIDv4", () => {
  fc.assert(
    fc.property(bytes, (random) => {
      expect(uuidv4(random)).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    }),
  );
});
