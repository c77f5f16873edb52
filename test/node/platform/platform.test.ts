import * as fc from "fast-check";
import { expect, it, onTestFinished, vi } from "vitest";
import { forAll } from "#harness/properties.ts";
import { checkSocketFolder, newHostSocket, prepareSocketFolder, SocketFolderError } from "#src/platform/host-socket.ts";
import { foldsCase, realPath, usualHome } from "#src/platform/paths.ts";
import { projectRoot } from "#src/snapshots/git-head.ts";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import { programPath, programStart } from "#src/platform/program-path.ts";
import {
  OverBudgetError,
  interpret,
  repeatPartsWithinBudget,
  shortText,
  withinBudget,
} from "#src/platform/time-budget.ts";
import { isNewer, type ProgramVersion } from "#src/platform/version.ts";
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Claude, aProject, anotherClaude } from "#harness/machine/claude.ts";
import { foldCase, temporaryFolder } from "#harness/machine/git-project.ts";
import { desktop } from "#harness/machine/mcp-process.ts";
import { type TempRuntime, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { renderStatus } from "#src/machine/view/status-text.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import { shimCommand, withShimCommand } from "#src/platform/shim-command.ts";
import * as notices from "#src/store/notices.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";

/** Doubles its time with each character. */
const exponential = new RegExp("^(?:a+)+$");
const endless = `${"a".repeat(60)}!`;

it("work over its budget is ended, also in a regular expression or within another budget; other work gives its result @night", () => {
  expect(() => withinBudget(() => exponential.test(endless), 50)).toThrow(OverBudgetError);
  expect(withinBudget(() => withinBudget(() => 1) + withinBudget(() => 2))).toBe(3);
  expect(() => interpret(() => JSON.parse("{"))).toThrow(SyntaxError);
  const inner = withinBudget(() => interpret(() => exponential.test(endless)), 60_000);
  expect([inner, interpret(() => "after")]).toEqual([null, "after"]);
});

function threads(): number {
  return Number(/^Threads:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}

it.runIf(process.platform === "linux")("a short text is interpreted without a thread of its own", () => {
  const before = threads();
  expect(interpret(threads, { chars: shortText - 1 })).toBe(before);
  expect(interpret(threads, { chars: shortText })).toBe(before + 1);
});

it("work in parts that a busy machine has interrupted begins again, and keeps nothing of the first attempt", async () => {
  let attempts = 0;
  const read = await repeatPartsWithinBudget(async (bound) => {
    attempts += 1;
    const rows: number[] = [];
    for (const row of [1, 2, 3]) {
      if (attempts === 1 && row === 3) throw new OverBudgetError(0);
      bound(() => rows.push(row));
    }
    return rows;
  });
  expect({ read, attempts }).toEqual({ read: [1, 2, 3], attempts: 2 });
  const spent = new OverBudgetError(1_000);
  await expect(repeatPartsWithinBudget(() => Promise.reject(spent))).rejects.toBe(spent);
});

const version = fc.oneof(
  fc.tuple(fc.nat(12), fc.nat(12), fc.nat(2)).map((numbers) => numbers.join(".")),
  fc.constantFrom("1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0-alpha", "1.0.0-1", "1.0.0", "1.0.0+linux"),
  fc.stringMatching(/^[0-9a-c.+-]{0,8}$/),
  fc.string(),
);
const program: fc.Arbitrary<ProgramVersion> = fc.record({ version, builtAt: fc.nat(2) });

it("newer is a strict order: no program is newer than itself, of two at most one is, and it is transitive", () => {
  forAll(1_000, [program, program, program], (a, b, c) => {
    expect([isNewer(a, { ...a }), isNewer(a, b) && isNewer(b, a)]).toEqual([false, false]);
    if (isNewer(a, b) && isNewer(b, c)) expect(isNewer(a, c)).toBe(true);
    // What neither order tells apart is one rung, so that a chain of programs ends at one host.
    if (!isNewer(a, b) && !isNewer(b, a)) expect(isNewer(a, c)).toBe(isNewer(b, c));
  });
});

it("versions come in the order of Semantic Versioning, and a later build of an older version is older", () => {
  // The order of its section 11, and numbers that a comparison of texts gets wrong.
  const rising = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"];
  const ordered = [...rising, "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"];
  for (const [index, older] of ordered.entries())
    for (const version of ordered.slice(index + 1)) {
      const one = { version, builtAt: 1 };
      const other = { version: older, builtAt: 2 };
      expect([isNewer(one, other), isNewer(other, one)], `${version} ${older}`).toEqual([true, false]);
    }
  expect(isNewer({ version: "1.0.0", builtAt: 2 }, { version: "1.0.0", builtAt: 1 })).toBe(true);
  expect(isNewer({ version: "1.0.0+b", builtAt: 1 }, { version: "1.0.0+a", builtAt: 1 })).toBe(false);
});

const everywhere = (): boolean => true;

it("on Windows a program comes from an absolute folder of PATH, never from elsewhere; other systems need none", () => {
  const env = { Path: ".;tools;C:\\Git\\cmd;D:\\Git" };
  expect(programPath("git", env, "win32", everywhere)).toBe("C:\\Git\\cmd\\git.exe");
  expect(programPath("git", env, "win32", (path) => path.startsWith("D:"))).toBe("D:\\Git\\git.exe");
  expect(programPath("git", { PATH: ".;tools" }, "win32", everywhere)).toMatch(/^C:\\not-on-the-path\\git\.exe$/);
  expect(programPath("git", {}, "win32", everywhere)).toMatch(/not-on-the-path/);
  expect(programPath("C:\\node\\node.exe", {}, "win32", everywhere)).toBe("C:\\node\\node.exe");
  expect(programPath("git", { PATH: "/usr/bin" }, "linux", everywhere)).toBe("git");
});

it("where case does not count a folder is the same project, and a file the same path, under each of its names", (test) => {
  const folder = temporaryFolder();
  if (!foldsCase(folder)) test.skip("the temporary folder of this machine counts case");
  mkdirSync(join(folder, "App", ".git", "objects"), { recursive: true });
  writeFileSync(join(folder, "App", "\u00DCber.ts"), "");
  expect(projectRoot(join(folder, "aPP"))).toBe(projectRoot(join(folder, "App")));
  expect(realPath(join(folder, "app", "u\u0308BER.ts"))).toBe(realPath(join(folder, "App", "\u00DCber.ts")));
});

it("whether case counts is seen at the folder itself, else at one above it whose name has letters", () => {
  const folder = join(temporaryFolder(), "App", "2026");
  mkdirSync(folder, { recursive: true });
  expect([foldsCase(folder), foldsCase(join(folder, "missing"))]).toEqual([false, false]);
  foldCase(dirname(folder));
  expect([foldsCase(folder), foldsCase(dirname(folder)), foldsCase(join(folder, "missing"))]).toEqual([
    true,
    true,
    true,
  ]);
});

/** As npm 11 and npm 6, pnpm 9, and npm with options of Node in the script's first line write them. */
const launchers = {
  codex: String.raw`@ECHO off
GOTO start
:find_dp0
SET dp0=%~dp0
EXIT /b
:start
SETLOCAL
CALL :find_dp0

IF EXIST "%dp0%\node.exe" (
  SET "_prog=%dp0%\node.exe"
) ELSE (
  SET "_prog=node"
  SET PATHEXT=%PATHEXT:;.JS;=;%
)

endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & "%_prog%"  "%dp0%\node_modules\@openai\codex\bin\codex.js" %*
`,
  old: String.raw`@IF EXIST "%~dp0\node.exe" (
  "%~dp0\node.exe"  "%~dp0\node_modules\old\bin.js" %*
) ELSE (
  @SETLOCAL
  @SET PATHEXT=%PATHEXT:;.JS;=;%
  node  "%~dp0\node_modules\old\bin.js" %*
)`,
  qwen: String.raw`@SETLOCAL
@IF NOT DEFINED NODE_PATH (
  @SET "NODE_PATH=C:\pnpm\node_modules"
)
@IF EXIST "%~dp0\node.exe" (
  "%~dp0\node.exe"  "%~dp0\..\qwen code\cli.js" %*
) ELSE (
  @SET PATHEXT=%PATHEXT:;.JS;=;%
  node  "%~dp0\..\qwen code\cli.js" %*
)`,
  gemini: String.raw`@ECHO off
IF EXIST "%dp0%\node.exe" (
  SET "_prog=%dp0%\node.exe"
) ELSE (
  SET "_prog=node"
)
endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & "%_prog%" --no-warnings=DEP0040 "%dp0%\node_modules\@google\gemini-cli\dist\index.js" %*`,
  shell: String.raw`@SETLOCAL
  SET "_prog=sh"
"%_prog%"  "%dp0%\node_modules\tool\run.sh" %*`,
  claude: String.raw`@ECHO off
SETLOCAL
CALL :find_dp0
"%dp0%\node_modules\@anthropic-ai\claude-code\bin\claude.exe"   %*
`,
  other: "@echo %1 & del %*",
};

it("on Windows a script of npm's is started by node, with the arguments as they are and without a shell", () => {
  const files: Record<string, string> = { "D:\\node\\node.exe": "", "D:\\node\\git.exe": "", "C:\\npm\\git.cmd": "" };
  for (const [name, text] of Object.entries(launchers)) files[`C:\\npm\\${name}.cmd`] = text.replaceAll("\n", "\r\n");
  const start = (name: string, path: string): readonly string[] => {
    const disk = { exists: (one: string) => one in files, read: (one: string) => files[one] ?? "" };
    const { file, args } = programStart(name, ["a & b", "%PATH%"], { Path: path }, "win32", disk);
    return [file, ...args];
  };
  const both = ["a & b", "%PATH%"];
  const path = "C:\\npm;D:\\node";
  expect(start("codex", path)).toEqual([
    "D:\\node\\node.exe",
    "C:\\npm\\node_modules\\@openai\\codex\\bin\\codex.js",
    ...both,
  ]);
  expect(start("old", path)).toEqual(["D:\\node\\node.exe", "C:\\npm\\node_modules\\old\\bin.js", ...both]);
  expect(start("qwen", path)).toEqual(["D:\\node\\node.exe", "C:\\qwen code\\cli.js", ...both]);
  const gemini = "C:\\npm\\node_modules\\@google\\gemini-cli\\dist\\index.js";
  expect(start("gemini", path)).toEqual(["D:\\node\\node.exe", "--no-warnings=DEP0040", gemini, ...both]);
  expect(start("claude", path)).toEqual([
    "C:\\npm\\node_modules\\@anthropic-ai\\claude-code\\bin\\claude.exe",
    ...both,
  ]);
  // Node beside the script comes first, as npm has it.
  files["C:\\npm\\node.exe"] = "";
  expect(start("gemini", path)[0]).toBe("C:\\npm\\node.exe");
  expect(start("git", path)).toEqual(["D:\\node\\git.exe", ...both]);
  for (const name of ["shell", "other", "missing"])
    expect(start(name, path)).toEqual([`C:\\not-on-the-path\\${name}.exe`, ...both]);
  expect(programStart("codex", ["x"], {}, "linux")).toEqual({ file: "codex", args: ["x"] });
});

/** A copy of SHIM in a folder of the test, with nothing on the PATH. */
function anInstallation(folder = "app"): { runtime: TempRuntime; script: string; bin: string } {
  const home = aProject();
  const script = join(home, folder, "bin", "shim.mjs");
  const bin = join(home, "path");
  for (const path of [join(home, folder, "bin"), bin]) mkdirSync(path, { recursive: true });
  writeFileSync(script, "");
  const launch = { node: "/opt/node", script, hookScript: "" };
  return { runtime: { ...tempRuntime({ env: { PATH: bin } }), launch }, script, bin };
}

it("a path with blanks or a dollar sign can be pasted into a shell as it is printed", () => {
  const { runtime, script, bin } = anInstallation("my $app");
  expect(shimCommand(runtime)).toBe(`/opt/node '${script}'`);
  writeFileSync(join(bin, "node"), "");
  expect(shimCommand(runtime)).toBe(`node '${script}'`);
  const text = withShimCommand("Run `shim doctor`, not `shim` or shim doctor.", () => shimCommand(runtime));
  expect(text).toBe(`Run \`node '${script}' doctor\`, not \`shim\` or shim doctor.`);
});

it("a link to this copy makes it `shim`, also behind npm's wrapper of Windows", () => {
  const { runtime, script, bin } = anInstallation();
  symlinkSync(script, join(bin, "shim"));
  expect(shimCommand(runtime)).toBe("shim");
  const windows = anInstallation("path/node_modules/shim-mcp");
  writeFileSync(join(windows.bin, "shim.cmd"), "");
  expect(shimCommand(windows.runtime)).toBe("shim");
});

it("tools, the brief and notices name commands that can be typed, for the model, the user and the status line", async () => {
  const { runtime, script } = anInstallation();
  const shim = `/opt/node ${script}`;
  runtime.store.write((sql) => notices.add(sql, runtime.now(), "sync", "`shim workspace status` counts such cases."));
  const typed = `\`${shim} workspace status\``;
  const claude = new Claude(runtime, { cwd: aProject() });
  expect(claude.start()).toContain(typed);
  claude.turn("fix the parser");
  claude.kill();
  const begun = anotherClaude(runtime, claude).tell("SessionStart", { source: "startup" });
  expect(begun.systemMessage).toContain(`${shim} resume --dismiss 20487890`);
  expect(begun.hookSpecificOutput?.additionalContext).not.toContain("`shim ");
  expect(renderStatus(statusOf(runtime, "{}"), runtime.now())).toContain(typed);
  const of = claude.session;
  const { call } = await desktop(runtime);
  expect((await call("shim_session_status")).text).toContain(typed);
  const brief = await call("shim_check_recovery", { of });
  for (const text of [brief.text, brief.output["brief"]]) expect(text).not.toContain("`shim ");
  const dismissed = await call("shim_check_recovery", { of, dismiss: true });
  for (const text of [dismissed.text, dismissed.output["message"]])
    expect(text).toContain(`\`${shim} resume --undo ${of.slice(0, 8)}\`.`);
  runtime.store.write((sql) =>
    recoveries.add(sql, { at: runtime.now(), session: of, action: "recovered", by: "another" }),
  );
  expect((await call("shim_check_recovery", { of, take: true })).text).toContain(`\`${shim} resume --undo ${of}\``);
});

it("a folder for sockets that others may enter, or that is a link, is refused", () => {
  const home = temporaryFolder();
  const folder = join(temporaryFolder(), "sockets");
  const check = (name = folder) => expect(() => checkSocketFolder(home, join(name, "host.sock")));
  check().not.toThrow();
  mkdirSync(folder, { mode: 0o700 });
  check().not.toThrow();
  symlinkSync(folder, `${folder}-link`);
  check(`${folder}-link`).toThrow(SocketFolderError);
  chmodSync(folder, 0o710);
  check().toThrow(SocketFolderError);
});

it("SHIM's folder is where each system keeps the data of programs, unless the user has moved that", () => {
  const moved = { LOCALAPPDATA: "D:\\jo", XDG_DATA_HOME: "/data" };
  const homes = (["win32", "darwin", "linux"] as const).map((system) =>
    [{}, moved].map((env) => usualHome(env, system, system === "win32" ? "C:\\Users\\Jörg Müller" : "/home/jo")),
  );
  expect(homes).toEqual([
    ["C:\\Users\\Jörg Müller\\AppData\\Local\\shim\\Data", "D:\\jo\\shim\\Data"],
    ["/home/jo/Library/Application Support/shim", "/home/jo/Library/Application Support/shim"],
    ["/home/jo/.local/share/shim", "/data/shim"],
  ]);
});

it("the socket of a home with a long path fits into the 104 bytes of macOS, in the temporary folder of a user there", () => {
  vi.stubEnv("TMPDIR", "/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/");
  onTestFinished(() => void vi.unstubAllEnvs());
  const user = "/Users/anna.mustermann/Library/Application Support/shim";
  for (const home of [user, `${user}/${"a".repeat(60)}`])
    expect(Buffer.byteLength(newHostSocket(home, "a-boot"))).toBeLessThan(104);
  expect(newHostSocket(user, "a-boot")).toMatch(/^\/Users\//);
});

it("a named pipe of Windows has no folder, which is neither looked at nor made", () => {
  const home = join(temporaryFolder(), "shim");
  expect(() => prepareSocketFolder(home, String.raw`\\.\pipe\shim-jo-0123`)).not.toThrow();
  expect(existsSync(home)).toBe(true);
});

it.runIf(process.platform === "linux")("a folder that can be made nowhere is refused, and not tried for ever", () => {
  expect(() => createPrivateFolder("/proc/shim/home")).toThrow(/ENOENT.*\/proc\/shim'/);
});
