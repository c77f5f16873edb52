import { expect, it } from "vitest";
import { programPath } from "#src/platform/program-path.ts";

const everywhere = (): boolean => true;

it("[PR8] on Windows a program comes from an absolute folder of PATH, whatever stands in the working folder", () => {
  const env = { Path: ".;tools;C:\\Git\\cmd;D:\\Git" };
  expect(programPath("git", env, "win32", everywhere)).toBe("C:\\Git\\cmd\\git.exe");
  expect(programPath("git", env, "win32", (path) => path.startsWith("D:"))).toBe("D:\\Git\\git.exe");
});

it("[PR8] what PATH does not have is not found elsewhere; a path stays, and other systems need none", () => {
  expect(programPath("git", { PATH: ".;tools" }, "win32", everywhere)).toMatch(/^C:\\not-on-the-path\\git\.exe$/);
  expect(programPath("git", {}, "win32", everywhere)).toMatch(/not-on-the-path/);
  expect(programPath("C:\\node\\node.exe", {}, "win32", everywhere)).toBe("C:\\node\\node.exe");
  expect(programPath("git", { PATH: "/usr/bin" }, "linux", everywhere)).toBe("git");
});
