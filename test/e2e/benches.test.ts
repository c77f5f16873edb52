import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const root = join(import.meta.dirname, "..", "..");
const registry = "http://127.0.0.1:9/";

/** Removed at the end of all tests: they run at the same time. */
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function aFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), name));
  folders.push(folder);
  return folder;
}

interface Bench {
  readonly child: ChildProcess;
  /** All that it writes and starts is below it. */
  readonly folder: string;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

function start(args: readonly string[], command: readonly string[] = [process.execPath]): Bench {
  const folder = aFolder("bn-");
  const [program = "", ...before] = command;
  const own = {
    TMPDIR: folder,
    HOME: join(folder, "developer"),
    npm_config_registry: registry,
    npm_config_cache: folder,
  };
  const child = spawn(program, [...before, "bench/main.ts", ...args], {
    cwd: root,
    // Without the variable by which Vitest keeps children from the developer's home: the bench does that itself.
    env: { ...process.env, SHIM_HOME: undefined, ...own },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => (stderr += part));
  // Its guard holds stderr until nothing is left.
  const ended = Promise.all([text(child.stdout), once(child, "close")]).then(([stdout]) => {
    return { code: child.exitCode, stdout, stderr };
  });
  return { child, folder, ended };
}

/** Processes that have the folder in their environment, their arguments or as their working folder, and what else is left of it. */
function leftOf({ folder }: Bench): string[] {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && namesFolder(Number(name), folder));
  // One that has ended, and that its parent has not read the status of, has no command.
  const running = processes.map((pid) => `${pid} ${commandOf(pid)}`).filter((one) => !/^\d+ $/.test(one));
  return [...running, ...readdirSync(folder).filter((name) => name.startsWith("shim-"))];
}

function namesFolder(pid: number, folder: string): boolean {
  const read = (name: string): string => {
    try {
      return name === "cwd" ? readlinkSync(`/proc/${pid}/cwd`) : readFileSync(`/proc/${pid}/${name}`, "utf8");
    } catch {
      return "";
    }
  };
  return ["environ", "cmdline", "cwd"].some((name) => read(name).includes(folder));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** @param figures at least so many */
async function expectMeasured(args: readonly string[], figures: number): Promise<void> {
  const bench = start([...args, "--smallest"]);
  const { code, stdout, stderr } = await bench.ended;
  expect(code, stderr).toBe(0);
  const rows = stdout.split("\n").filter((line) => /^\| [a-z]/.test(line) && !line.startsWith("| figure "));
  expect(rows.length, stdout).toBeGreaterThanOrEqual(figures);
  for (const row of rows) {
    expect(row.split("|")[3], row).toMatch(/\d/);
    expect(row).not.toMatch(/NaN|undefined/);
  }
  expect(leftOf(bench)).toEqual([]);
}

/** @param says one line, without a stack */
async function expectRefused(args: readonly string[], says: RegExp): Promise<void> {
  const bench = start(args);
  const { code, stdout, stderr } = await bench.ended;
  expect(stderr).toMatch(says);
  expect(stderr).not.toMatch(/^ {4}at /m);
  expect(stdout).not.toContain("|");
  expect(code).toBe(1);
  expect(leftOf(bench)).toEqual([]);
}

function isThere(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch {
    return false;
  }
}

/** A session of Claude Code: two prompts, an edit, a command. */
function aTranscript(folder: string, id: string): void {
  const cwd = "/home/dev/shop";
  let parent: string | null = null;
  const rows: string[] = [];
  const add = (type: "user" | "assistant", content: unknown, isOver = false): void => {
    const uuid = `${id}-${rows.length}`;
    const timestamp = new Date(1_780_000_000_000 + 30_000 * rows.length).toISOString();
    const about = { id: `m${rows.length}`, model: "m", stop_reason: isOver ? "end_turn" : "tool_use" };
    const message = { role: type, content, ...(type === "assistant" && about) };
    const row = { parentUuid: parent, type, message, uuid, timestamp, cwd, sessionId: id, gitBranch: "main" };
    rows.push(JSON.stringify({ ...row, isSidechain: false, version: "2.1.328", userType: "external" }));
    parent = uuid;
  };
  const use = (name: string, input: object): object => ({ type: "tool_use", id: `t${rows.length}`, name, input });
  const result = (content: string): object => ({ type: "tool_result", tool_use_id: `t${rows.length - 1}`, content });
  add("user", "Please fix the parser so that empty input gives an empty list, without a new dependency.");
  add("assistant", [use("Edit", { file_path: `${cwd}/src/parser.ts`, old_string: "a", new_string: "b" })]);
  add("user", [result("The file has been updated.")]);
  add("assistant", [{ type: "text", text: "Empty input now gives an empty list; the lexer comes next." }], true);
  add("user", "Now write the test of the lexer with three cases, and run it.");
  add("assistant", [use("Bash", { command: "npm test" })]);
  add("user", [result("3 passed")]);
  add("assistant", [{ type: "text", text: "All three cases pass, so I would commit next." }], true);
  writeFileSync(join(folder, `${id}.jsonl`), `${rows.join("\n")}\n`);
}

function transcripts(count: number): string {
  const folder = aFolder("bn-transcripts-");
  for (let n = 0; n < count; n++) aTranscript(folder, `11111111-2222-4333-8444-55555555555${n}`);
  return folder;
}

async function untilItMeasures(bench: Bench): Promise<void> {
  await expect.poll(() => leftOf(bench).join("\n"), { timeout: 30_000 }).toContain("mcp-host");
}

describe.skipIf(process.platform !== "linux")("benches", { concurrent: true }, () => {
  it.each([
    [["secrets"], 2],
    [["effects"], 1],
    [["damaged"], 1],
    [["rows"], 1],
    [["figures", "secrets", "look-alikes", "effects"], 3],
  ] as const)("%s measures something with --smallest", async (args, figures) => {
    await expectMeasured(args, figures);
  });

  it.each([
    [["start"], 4],
    [["save"], 2],
    [["brief"], 1],
    [["chats"], 1],
    [["conflicts"], 1],
    [["detection"], 1],
    [["cost"], 1],
    [["capacity"], 1],
    [["sync"], 1],
    [["neighbour", "--attacks", "frames"], 1],
  ] as const)("so does %s @night", async (args, figures) => {
    await expectMeasured(args, figures);
  });

  it("a folder of transcripts is measured with the built program, in homes of its own", async () => {
    await expectMeasured(["real", transcripts(2)], 3);
  });

  it("transcripts that cannot be measured fail the bench, which says how many and why", async () => {
    await expectRefused(["real", transcripts(0)], /^of 0 transcripts in .* none has a prompt/m);
    const folder = transcripts(1);
    // The bench reads it by its first rows; SHIM refuses a file that is no transcript of a client that it knows.
    const [name = ""] = readdirSync(folder);
    const rows = readFileSync(join(folder, name), "utf8").replaceAll('"type":"user"', '"type":"user","isMeta":true');
    writeFileSync(join(folder, name), rows);
    await expectRefused(["real", folder], /^of 1 transcripts in .* none has a prompt/m);
  });

  it("what needs another program says so in one line, or measures @night", async () => {
    if (!isThere(() => claudeBinary()))
      await expectRefused(["restore"], /Claude Code .* is not installed .* Run "npm run test:e2e:claude"/);
    if (!existsSync(chromiumPath)) await expectRefused(["page"], /is not there: install chromium/);
    if (spawnSync("redis-server", ["--version"]).error) {
      await expectRefused(["clients"], /^it needs redis-server/m);
      await expectRefused(["tasks"], /^it needs redis-server/m);
    } else {
      await expectMeasured(["clients"], 4);
      await expectMeasured(["tasks"], 3);
    }
  });

  it("what needs a real client says in one line which, and how it is installed", async () => {
    if (!isThere(() => claudeBinary()))
      await expectRefused(["tool-call"], /Claude Code .* is not installed .* Run "npm run test:e2e:claude"/);
  });

  it("no name is accepted that is not there, and no option", async () => {
    const names = Object.keys(benches).join(", ");
    await expectRefused(["nothing"], new RegExp(`^There is no bench nothing, only figures, ${names}`, "m"));
    await expectRefused(["figures", "nothing"], /^There is no figure nothing, only hook-event, /m);
    await expectRefused(["--share", "7"], /^--share takes a number from 0 to 1/m);
  });

  /** Would go on for a minute. */
  const long = ["chats"];

  async function expectEnded(signal: NodeJS.Signals): Promise<void> {
    const bench = start(long);
    await untilItMeasures(bench);
    bench.child.kill(signal);
    await bench.ended;
    expect(leftOf(bench)).toEqual([]);
  }

  it("a bench that SIGKILL ends leaves nothing", () => expectEnded("SIGKILL"));

  it.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("nor does one that %s ends @night", expectEnded);

  it("nor does one whose npm is killed, or npm's shell @night", async () => {
    // As npm starts it; what comes behind it keeps the shell from becoming the bench.
    const bench = start(long, ["/bin/sh", "-c", `npm_lifecycle_event=bench "${process.execPath}" "$@"; true`, "sh"]);
    await untilItMeasures(bench);
    bench.child.kill("SIGKILL");
    await bench.ended;
    expect(leftOf(bench)).toEqual([]);
  });
});
