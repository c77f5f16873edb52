import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { aCliHome, aSeededHome, failed, holding, ids, printed, throwing } from "#harness/machine/cli-home.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { killHosts, servingHost } from "#harness/machine/process-tree.ts";
import { Cli, wordsOf } from "#src/cli/cli.ts";
import { build, withSubcommands, run } from "#src/cli/commands/program.ts";
import { startProcess, systemIo } from "#src/cli/io.ts";
import { parseDuration, parseTime } from "#src/shared/time-text.ts";
import { StoreError } from "#src/store/store-error.ts";

it("wrong commands, options and arguments answer 2, say what is wrong and name the nearest, and do nothing; two values of one option are wrong, the same value twice is one", async () => {
  const home = aCliHome();
  for (const command of ["nonsense", "sessions --what", "sessions show", "sessions --limit 0", "pause soonish"])
    expect([command, await home.shim(command)]).toMatchObject([command, { ...failed(2, /^shim: /), out: "" }]);
  for (const [typed, meant] of [
    ["sesions", "sessions"],
    ["u", "up"],
    ["worker supervise stp", "stop"],
    ["sessions --limt 3", "--limit"],
  ] as const)
    expect([typed, (await home.shim(typed)).err]).toEqual([typed, holding(`(Did you mean ${meant}?)`)]);
  for (const typed of ["install", "foo", "join"])
    expect((await home.shim(typed)).err).toContain(`unknown command '${typed}'\n\`shim --help\``);
  expect((await home.shim("sessions --limit many --json")).error).toBe("wrong_usage");
  const twice = failed(2, "'--type <type>' takes one value, and got 'a' and 'b'");
  expect(await home.shim("worker --type a --type b -- true")).toMatchObject(twice);
  expect(await home.codes("sessions --limit 3 --limit 4", "sessions --limit 3 --limit 3")).toEqual([2, 0]);
  expect(existsSync(home.paths.home)).toBe(false);
});

it("colours are in a terminal only, and NO_COLOR switches them off", async () => {
  const home = aSeededHome();
  const screen = { isTty: true };
  expect((await home.shimWith(screen, "up --once")).out).toContain("\u001b[");
  expect((await home.shim("up --once")).out).not.toContain("\u001b");
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
    const plain = await home.shimWith({ ...screen, env: { ...home.runtime.env, ...env } }, "up --once");
    expect(plain.out).not.toContain("\u001b");
  }
});

// eslint-disable-next-line no-control-regex -- control characters are searched for
const control = /[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]/;
// eslint-disable-next-line no-control-regex -- colours begin with ESC; these are not SHIM's own
const colour = /\u001b(?!\[(?:1|2|22|3[0-9])m)|\u001b\[(?:31mden|35mfake)/;
const hidden = /[\u200b\u2060\ufeff\u202e]|[\u{e0000}-\u{e0fff}]/u;

it("stored texts move no cursor, set no title or colour, hide nothing and turn no text around, also in a terminal", async () => {
  const home = aSeededHome();
  const title =
    "\u001b]0;owned\u0007\u001b[2Jboo\u202e\u009b31m\u001b[8mhid\u0008\u001b[31mden\u200b\u2060\ufeff\u{e0041}\ue123[35mfake";
  home.runtime.store.write((sql) => sql.run("UPDATE sessions SET title = ? WHERE id = ?", title, ids.dead));
  const shown = ["sessions", `sessions show ${ids.dead}`, `sessions show ${ids.dead} --stored`, "up --once"];
  for (const command of [...shown, "sessions --json"])
    for (const isTty of [true, false]) {
      const { out } = await home.shimWith({ isTty }, command);
      expect(out).toContain("boo");
      for (const odd of [hidden, control, isTty ? colour : "\u001b"]) expect(out).not.toMatch(odd);
    }
});

it("broken storage and bugs answer 1 with one line, and the stack is only for SHIM_DEBUG=1; a file that cannot be used is no bug: its path and what to do", async () => {
  const home = aSeededHome();
  const message = "the disk is full; free some space";
  const full = { makeRuntime: throwing(new StoreError("store_full", message)) };
  const refused = { code: 1, err: `shim: ${message}\n`, error: "store_full" };
  expect(await home.shimWith(full, "sessions --json")).toMatchObject(refused);
  const bug = { makeRuntime: async () => Promise.reject(new Error("oops")) };
  expect((await home.shimWith(bug, "sessions")).err).toBe("shim: oops (a bug in SHIM; SHIM_DEBUG=1 shows where)\n");
  const loud = await home.shimWith({ ...bug, env: { ...home.runtime.env, SHIM_DEBUG: "1" } }, "sessions");
  expect(loud.err).toContain("program.test.ts");
  const file = join(home.folder, "file");
  writeFileSync(file, "");
  const inFile = { env: { ...home.runtime.env, SHIM_HOME: join(file, "shim") } };
  mkdirSync(join(home.folder, ".claude"));
  const missing = join(home.folder, "nope", "e");
  const own = join(file, "shim");
  const changed = "Nothing was changed. Make that folder one that your user can write to";
  for (const [io, command, path, advice] of [
    [{}, `sessions import ${home.folder}`, home.folder, "is a folder"],
    [{}, `sessions export ${missing}`, missing, "make the folder"],
    [inFile, "config set recovery ask", own, "SHIM_HOME"],
    [inFile, "init --yes", own, changed],
  ] as const) {
    const ran = await home.shimWith(io, command, "--json");
    expect([command, ran]).toMatchObject([command, failed(1, path, advice)]);
    expect(ran.err).not.toContain("bug");
  }
});

it("the command that finds a damaged store, and each later one, report it on stderr until it is acknowledged", async () => {
  const home = aSeededHome();
  home.runtime.store.close();
  // Nothing of the schema can be read any more.
  const file = openSync(home.paths.database, "r+");
  writeSync(file, Buffer.alloc(16_384, 0xa5), 0, 16_384, 0);
  closeSync(file);
  const ran = await home.shim("sessions");
  expect([ran.code, ran.out.includes("NOTICE")]).toEqual([0, false]);
  expect(ran.err.match(/^NOTICE: The store was damaged/gm)).toHaveLength(1);
  expect(ran.err).toContain("There was no good backup, so a new, empty store was created.");
  expect(ran.err).not.toContain("after the backup");
  const later = await home.shim("sessions search parser --json");
  expect(later.json()).toMatchObject({ sessions: [] });
  expect(later.err).toEqual(holding(/^NOTICE: The store was damaged/m, "shim doctor --acknowledge"));
  const ended = printed("There was no good backup", "1 notice acknowledged.\n");
  expect(await home.shim("doctor --acknowledge")).toMatchObject(ended);
  expect((await home.shim("sessions")).err).toBe("");
});

it("an option of a command may stand before the name of one below it", async () => {
  const home = aSeededHome();
  const behind = await home.shim("sessions search parser --json");
  expect(behind).toMatchObject({ code: 0, err: "" });
  expect(await home.shim("sessions --json search parser")).toMatchObject({ code: 0, out: behind.out, err: "" });
});

it("`shim help --all` lists every command, and a command with others below it prints its help without one", async () => {
  const home = aCliHome();
  const { out } = await home.shim("help --all");
  const program = await build(new Cli(home.io()), () => undefined);
  const names = withSubcommands(program).flatMap((one) => (one === program ? [] : wordsOf(one).join(" ")));
  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => !out.includes(`\n  ${name} `))).toEqual([]);
  // A default is shown as it is typed.
  const helps = withSubcommands(program).map((one) => one.helpInformation());
  expect(helps.filter((help) => /<duration>[^-]*default:\s\d+\)/.test(help))).toEqual([]);
  for (const group of ["task", "workspace", "workspace token"]) {
    const help = await home.shim(group, "--help");
    expect(await home.shim(group)).toMatchObject({ code: 0, out: help.out, err: "" });
  }
  expect((await home.shim("--help")).out).toMatch(/Exit codes:[^]*`shim help --all` lists the rest/);
});

it("fields are read as the operation's schema says, and the answer is its output; what takes something away is done after a yes only; wrong input is answered with an example, a wrong name with those like it, and a secret is no field", async () => {
  const home = aCliHome();
  expect(await home.json("call state.set key=k --yes", 'value={"a":[1]}')).toEqual({ version: expect.any(Number) });
  expect(await home.shim("call state.delete key=k")).toMatchObject(failed(1, "Confirm with --yes."));
  expect(await home.json("call state.get key=k")).toMatchObject({ entry: { key: "k", value: { a: [1] } } });
  expect(await home.json("call state.delete key=k --yes")).toMatchObject({ isDeleted: true });
  writeFileSync(join(home.project, "task.json"), '{"tasks":[{"type":"12"}]}');
  await home.json("call tasks.submit --input task.json");
  const queued = { tasks: [{ type: "12", state: "queued" }] };
  expect(await home.json("call tasks.list state=queued type=12 limit=1")).toMatchObject(queued);
  // Those of the machine are called and listed, too.
  expect((await home.shim("call")).out).toMatch(/^usage\.list +machine +Tokens and cost of the chats/m);
  const set = { key: "risk.thresholds.memory", value: 0.7 };
  expect(await home.json("call config.set key=risk.thresholds.memory value=0.7")).toEqual(set);
  expect(await home.json("config get risk.thresholds.memory")).toEqual(set);
  await home.misuses("call", [
    ["state.get k", "Such as: `shim call state.get key=k`"],
    ["state.get key=a key=b", "key is given twice."],
    ["state.get", "key: is missing. Such as: "],
    ["tasks.list limit=many", "limit"],
    ["usage.list by=hour", "by: one of day, session, project, model, task. Such as: "],
    ["workspace.join url=http://127.0.0.1:9 workspace=team token=shim_a.b", "give it with --input"],
  ]);
  expect(await home.shim("call task.list")).toMatchObject(failed(3, "Did you mean tasks.list"));
});

it("a duration is numbers with units; a moment is so long ago, a day, or ISO 8601; anything else is none", () => {
  const good = {
    "90s": 1.5,
    "15m": 15,
    "15min": 15,
    "2d": 2_880,
    "1w": 10_080,
    "1h30m": 90,
    "1.5h": 90,
    " 2D ": 2_880,
  };
  for (const [text, minutes] of Object.entries(good))
    expect([text, parseDuration(text)]).toEqual([text, minutes * 60_000]);
  for (const text of ["", "2", "d", "-1h", "0s", "2 days", "1h foo", "1e3s", "9999999h"])
    expect([text, parseDuration(text)]).toEqual([text, null]);
  const now = 1_700_000_000_000;
  const times = ["2h", "2023-11-14", "2023-11-14T22:13:20Z"].map((text) => parseTime(text, now));
  expect(times).toEqual([now - 7_200_000, new Date(2023, 10, 14).getTime(), now]);
  for (const text of ["2023-02-31", "2023-13-01", "yesterday", "2023-11-14T99:00", "14.11.2023"])
    expect([text, parseTime(text, now)]).toEqual([text, null]);
});

it("a program gets its arguments without a shell, in the folder that is named; its exit code is returned", async () => {
  const cwd = temporaryFolder();
  const start = (...args: string[]) => startProcess({ command: process.execPath, args: ["-e", ...args], cwd });
  const script = 'require("fs").writeFileSync("args", process.argv[1] + process.cwd()); process.exit(7)';
  const text = "$(touch hacked); \"quoted\" 'text'\nline";
  expect(await start(script, text)).toBe(7);
  expect(readFileSync(join(cwd, "args"), "utf8")).toContain(text);
  expect(await start("process.kill(process.pid, 'SIGKILL')")).toBe(1);
  const missing = startProcess({ command: "shim-no-such-program", args: [], cwd });
  await expect(missing).rejects.toMatchObject({ code: "ENOENT" });
  expect(process.listenerCount("SIGINT")).toBe(0);
});

it("the small program of --help and --version prints what the whole one does", async () => {
  const home = aCliHome();
  const program = join(import.meta.dirname, "../../../src/cli/help-entry.ts");
  for (const word of ["--help", "--version"]) {
    const said = execFileSync(process.execPath, [program, word], { encoding: "utf8", stdio: "pipe" });
    expect(said).toBe((await home.shim(word)).out);
  }
});

it("the runtime and the host of a command are those of its environment, whatever this process has", async () => {
  const own = temporaryFolder();
  const home = join(own, "shim");
  const env = { HOME: own, SHIM_HOME: home, PATH: process.env["PATH"], SHIM_TEST_MARK: own };
  const bundle = pathToFileURL(join(import.meta.dirname, "../../../dist/cli.cjs")).href;
  onTestFinished(() => killHosts(home));
  const io = { ...systemIo(bundle, env), stdout: () => undefined, stderr: () => undefined };
  expect((await io.makeRuntime()).runtime.paths.home).toBe(home);
  // The host reads the transcript, and refuses it.
  expect(await run(["resume", "--print", "--from-transcript", own], io)).not.toBe(0);
  const { pid } = servingHost(home);
  expect(readFileSync(`/proc/${pid}/environ`, "utf8").split("\0")).toContain(`SHIM_TEST_MARK=${own}`);
});
