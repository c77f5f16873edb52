import { expect, it } from "vitest";
import { hunksOf } from "#src/evolution/hunks-of.ts";

const patch = `diff --git a/src/a.ts b/src/a.ts
--- a/src/a.ts
+++ b/src/a.ts
@@ -2 +2 @@
-var one;
+let one;
@@ -4,0 +5 @@
+import x;
@@ -7 +8 @@
-var two;
+let two;
@@ -9,2 +10,2 @@
-var three;
-var four;
+let three;
+let four;
`;

function at(line: number, endLine = line, file = "src/a.ts") {
  return { file, range: { line, endLine } };
}

function lines(...[changed, left]: [Parameters<typeof hunksOf>[1], Parameters<typeof hunksOf>[2]]): string[] {
  return hunksOf(patch, changed, left).match(/^@@ -\d+/gm) ?? [];
}

it("[EV214] the lines of findings that stay are taken back; those of no finding, and of others, are not", () => {
  expect(lines([at(2)], [at(7)])).toEqual(["@@ -7"]);
  expect(lines([at(7)], [at(2)])).toEqual(["@@ -2"]);
  expect(lines([at(2)], [at(7, 7, "src/b.ts")])).toEqual([]);
  expect(lines([at(2)], [])).toEqual([]);
  expect(hunksOf(patch, [at(9)], [at(10)])).toMatch(/\n@@ -10 \+11 @@\n-var four;\n\+let four;\n$/);
});

it("[EV214] of findings at the same lines the narrowest counts", () => {
  expect(lines([at(1, 8)], [at(7)])).toEqual(["@@ -7"]);
  expect(lines([at(7)], [at(1, 8)])).toEqual(["@@ -2", "@@ -4"]);
  expect(lines([at(7)], [at(7)])).toEqual([]);
});
