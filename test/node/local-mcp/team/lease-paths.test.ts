import { expect, it } from "vitest";
import { toLeasePath } from "#src/local-mcp/team/lease-paths.ts";

it("[TE11] paths are below the root, given relative or absolute, with ranges at their end", () => {
  const good: [string, string][] = [
    ["a.ts", "a.ts"],
    ["./src//a.ts", "src/a.ts"],
    ["src/x/../a.ts", "src/a.ts"],
    ["/p/src/a.ts", "src/a.ts"],
    ["src/", "src"],
    ["src/*", "src/*"],
    ["src/**", "src/**"],
    ["**", "**"],
    ["/p/**", "**"],
  ];
  for (const [given, path] of good) expect(toLeasePath("/p", given), given).toEqual({ ok: true, value: path });
});

it("[TE11] what is none of this is refused with the path", () => {
  const bad = ["..", "../b", "/q/a.ts", ".", "/p", "src/*/a.ts", "src/*.ts", "a\nb", "x".repeat(401)];
  for (const given of bad) expect(toLeasePath("/p", given), given).toMatchObject({ ok: false });
  expect(toLeasePath("/p", "/q/a.ts")).toEqual({ ok: false, error: '"/q/a.ts" is not below /p' });
});
