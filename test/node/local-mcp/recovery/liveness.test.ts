import * as fc from "fast-check";
import { expect, it } from "vitest";
import { livenessOf } from "#src/local-mcp/recovery/liveness.ts";
import { mapFiles, mapPath } from "#src/local-mcp/recovery/remote-restoration.ts";

const minute = 60_000;
const offline = (reason: string) => ({ status: "offline", reason, lastSeenAgeMs: minute }) as const;

it("[RE90] [RE91] a chat that the coordinator declared dead is so; one that left, after ten silent minutes only", () => {
  for (const reason of ["attested", "closed", "timeout"])
    expect(livenessOf(offline(reason), 0)).toMatchObject({ isOver: true, isCertain: true });
  for (const seen of [offline("left"), offline("of a later version"), { status: "unknown" } as const]) {
    expect(livenessOf(seen, 9 * minute)).toMatchObject({ isOver: false, isCertain: false });
    expect(livenessOf(seen, 11 * minute)).toMatchObject({ isOver: true, isCertain: false });
  }
});

it("[RE90] [RE92] a living chat of any status is not gone; without an answer none is", () => {
  for (const status of ["idle", "busy", "stuck", "draining"] as const)
    expect(livenessOf({ status, reason: null, lastSeenAgeMs: 0 }, 60 * minute)).toMatchObject({ isOver: false });
  const unasked = livenessOf({ status: "unreachable", why: "no network" }, 60 * minute);
  expect(unasked).toMatchObject({ isOver: false, isCertain: false });
  expect(unasked.detail).toContain("no network");
});

it("[RE21] a path below the root there is the same path below the root here, whatever its machine writes between folders", () => {
  const roots = { there: "/home/ann/app", here: "/srv/app" };
  expect(mapPath("/home/ann/app/src/a.ts", roots)).toBe("/srv/app/src/a.ts");
  expect(mapPath("/home/ann/app/odd\\name", roots)).toBe("/srv/app/odd\\name");
  expect(mapPath("C:\\Users\\ann\\app\\src\\a.ts", { there: "C:\\Users\\ann\\app\\", here: "/srv/app" })).toBe(
    "/srv/app/src/a.ts",
  );
});

it("[RE21] everything else has no place here: beside the root, the root itself, above it, or where one of the two is missing", () => {
  const roots = { there: "/home/ann/app", here: "/srv/app" };
  for (const path of ["/home/ann/app2/a.ts", "/home/ann/app", "/home/ann/app/", "/etc/passwd", "a.ts", ""])
    expect(mapPath(path, roots)).toBeNull();
  for (const path of ["/home/ann/app/../secret", "/home/ann/app/src/../../x", "/home/ann/app/./a"])
    expect(mapPath(path, roots)).toBeNull();
  expect(mapPath("/home/ann/app/a.ts", { ...roots, there: null })).toBeNull();
  expect(mapPath("/home/ann/app/a.ts", { ...roots, here: null })).toBeNull();
  expect(mapPath("/a.ts", { there: "/", here: "/work" })).toBeNull();
});

it("[RE21] whatever a list of another machine holds, no path leads out of the project here, and none is lost", () => {
  const part = fc.oneof(fc.constantFrom("..", ".", "", "src", "\\..\\", "%2e%2e"), fc.string({ maxLength: 5 }));
  const path = fc.array(part, { maxLength: 6 }).map((parts) => `/home/ann/app/${parts.join("/")}`);
  fc.assert(
    fc.property(fc.array(fc.oneof(path, fc.string()), { maxLength: 8 }), (paths) => {
      const files = paths.map((one) => ({ path: one, hash: "h", action: "edited" as const }));
      const { inside, external: platform } = mapFiles(files, { there: "/home/ann/app", here: "/srv/app" });
      expect(inside.length + platform.length).toBe(paths.length);
      for (const file of inside) {
        expect(file.path.startsWith("/srv/app/")).toBe(true);
        expect(file.path.split("/")).not.toContain("..");
      }
      for (const file of platform) expect(file).toMatchObject({ hash: null, now: "unknown" });
    }),
  );
});
