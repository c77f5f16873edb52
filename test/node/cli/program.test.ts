import { existsSync, mkdirSync, statSync, writeFileSync, closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Cli, fileErrorText } from "#src/cli/cli.ts";
import { build, withSubcommands, wordsOf } from "#src/cli/commands/program.ts";
import { StoreError } from "#src/store/store-error.ts";
import * as notices from "#src/store/notices.ts";
import { localTime, parseDuration, parseTime } from "#src/cli/times.ts";
import {
  aCliHome,
  aSeededHome,
  checkpointOf,
  failed,
  ids,
  printed,
  throwing,
  holding,
  withStore,
  type CliHome,
} from "#harness/machine/cli-home.ts";

it("wrong commands, options and arguments answer 2, say what is wrong and do nothing", async () => {
  const home = aCliHome();
  const others = ["sessions show", "sessions --limit 0", "sessions search x --since soon", "pause soonish"];
  for (const command of ["nonsense", "sessions --what", ...others])
    expect([command, await home.shim(command)]).toMatchObject([command, { ...failed(2, /^shim: /), out: "" }]);
  for (const [typed, meant] of Object.entries({
    sesions: "sessions",
    inti: "init",
    restor: "restore",
    u: "up",
    pase: "pause",
  }))
    expect((await home.shim(typed)).err).toContain(`unknown command '${typed}'\n(Did you mean ${meant}?)\n`);
  for (const typed of ["install", "foo", "get", "remove", "learn", "join"]) {
    expect((await home.shim(typed)).err).toContain(`unknown command '${typed}'\n\`shim help --all\``);
  }
  expect((await home.shim("sessions serch x")).err).toContain("unknown command 'serch'\n(Did you mean search?)\n");
  expect((await home.shim("worker supervise stp")).err).toContain("(Did you mean stop?)");
  expect((await home.shim("sessions --limt 3")).err).toContain("Did you mean --limit?");
  expect((await home.shim("sessions --limit many --json")).error).toBe("wrong_usage");
  expect(existsSync(home.paths.home)).toBe(false);
});

it("of two values of one option none is dropped: it is wrong usage, and the same value twice is one @night", async () => {
  const home = aCliHome();
  const commands = withSubcommands(await build(new Cli(home.io()), () => undefined));
  const refused = await home.shim("worker --type a --type b -- true");
  expect(refused).toMatchObject(failed(2, "'--type <type>' takes one value, and got 'a' and 'b'"));
  for (const command of commands.filter((one) => one.commands.length === 0)) {
    const words = wordsOf(command);
    const single = command.options.find(
      ({ required, flags, argChoices = [] }) => required && !/\.\.\.|\[/.test(flags) && argChoices.length === 0,
    );
    if (!single || words.length === 0) continue;
    const option = single.long ?? "";
    // Values that every option takes: some are numbers, some durations.
    const ran = await home.shim("", ...words, option, "1024", option, "1025");
    expect([words, ran.code]).toEqual([words, 2]);
  }
  expect((await home.shim("sessions --limit 3 --limit 3")).code).toBe(0);
});

it("a setting that does not exist is answered with a similar one", async () => {
  const home = aCliHome();
  expect(await home.shim("config set recoverry ask")).toMatchObject(failed(2, "Did you mean recovery?"));
  expect(await home.shim("config get everyMs")).toMatchObject(failed(2, "Did you mean checkpoint.everyMs?"));
  expect((await home.shim("config set nothing-like-it 1")).err).not.toContain("Did you mean");
});

it("an unknown id answers 3 and says how to list, an ambiguous one 2 with what each candidate is", async () => {
  const home = aSeededHome();
  expect(await home.shim("sessions show zzzz")).toMatchObject(failed(3, "`shim sessions` lists them"));
  const both = await home.shim("sessions show bbbb --json");
  expect(both.code).toBe(2);
  expect(both.json()).toMatchObject({ error: { code: "ambiguous", candidates: [ids.dead, ids.elsewhere] } });
  expect(both.err).toContain("bbbb2222  60 s ago  work of bbbb\n");
  expect(both.err).toContain("bbbb3333  60 s ago  work of bbbb\n");
  expect((await home.shim("sessions show bbbb2")).code).toBe(0);
  expect((await home.shim("sessions show", "")).code).toBe(3);
  const checkpoint = checkpointOf(home, ids.dead);
  const short = checkpoint.slice("cp_".length);
  expect(await home.json("sessions show", short)).toMatchObject({ checkpoint: { id: checkpoint } });
  expect((await home.shim("sessions show cp_zz")).err).toContain("there is no session or checkpoint");
  expect((await home.shim("restore cp_zz")).err).toContain("there is no session or checkpoint");
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

const shown = ["sessions", `sessions show ${ids.dead}`, `sessions show ${ids.dead} --stored`, "up --once"];

it("stored texts cannot move the cursor, set the title or turn the text around", async () => {
  const home = aSeededHome();
  const hostile = "\u001b]0;owned\u0007\u001b[2Jboo\u202e\u009b31m";
  home.runtime.store.write((sql) => sql.run("UPDATE sessions SET title = ? WHERE id = ?", hostile, ids.dead));
  for (const command of [...shown, "sessions --json"]) {
    const { out } = await home.shim(command);
    expect(out).toContain("boo");
    // eslint-disable-next-line no-control-regex -- control characters are what this looks for
    expect(out).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  }
});

it("of stored texts no colour, no hidden text and no invisible character is shown, also in a terminal", async () => {
  const home = aSeededHome();
  const hostile = "\u001b[8mhid\u001b[31mden\u200b\u2060\ufeff\u{e0041}\ue123[31m";
  home.runtime.store.write((sql) => sql.run("UPDATE sessions SET title = ? WHERE id = ?", hostile, ids.dead));
  for (const command of shown) {
    const { out } = await home.shimWith({ isTty: true }, command);
    expect(out).toContain("hidden");
    expect(out).not.toMatch(/[\u200b\u2060\ufeff]|[\u{e0000}-\u{e0fff}]/u);
    // eslint-disable-next-line no-control-regex -- colours begin with ESC
    expect(out).not.toMatch(/\u001b(?!\[(?:1|2|22|3[0-9])m)|\u001b\[31mden/);
  }
  const { out } = await home.shim("sessions --json");
  expect(out).toContain("\\u200b");
  expect(out).not.toContain("\u200b");
});

it("broken storage and bugs answer 1 with one line; the stack is only for SHIM_DEBUG=1", async () => {
  const home = aCliHome();
  const message = "the disk is full; free some space";
  const full = { makeRuntime: throwing(new StoreError("store_full", message)) };
  const ran = await home.shimWith(full, "sessions --json");
  expect(ran).toMatchObject({ code: 1, err: `shim: ${message}\n` });
  expect(ran.json()).toEqual({ error: { code: "store_full", message } });
  const bug = { makeRuntime: async () => Promise.reject(new Error("oops")) };
  expect((await home.shimWith(bug, "sessions")).err).toBe("shim: oops (a bug in SHIM; SHIM_DEBUG=1 shows where)\n");
  const loud = await home.shimWith({ ...bug, env: { ...home.runtime.env, SHIM_DEBUG: "1" } }, "sessions");
  expect(loud.err).toContain("program.test.ts");
});

it("a file that cannot be used is no bug: its path and what to do, exit code 1", async () => {
  const home = aSeededHome();
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

function systemError(code: string, more: object): Error {
  return Object.assign(new Error(`${code}: said`), { code, ...more });
}

it("what the system reports of a file is shown with the path and an advice; other errors stay bugs", () => {
  const told = (code: string): string | null =>
    fileErrorText(systemError(code, { syscall: "open", path: "/a/b" }), "/home/shim");
  expect(told("EROFS")).toBe("/a/b: the file system is read-only; name another path (EROFS: said)");
  const beside = systemError("EACCES", { syscall: "open", path: "/a/.config.json.shim-12.tmp" });
  expect(fileErrorText(beside, "/home/shim")).toMatch(/^\/a\/config\.json: /);
  expect(told("EACCES")).toContain("permission denied");
  expect(told("ELOOP")).toContain("/a/b: the system does not allow it");
  expect(fileErrorText(systemError("EROFS", { syscall: "mkdir", path: "/home/shim" }), "/home/shim")).toContain(
    "SHIM_HOME moves",
  );
  expect(fileErrorText(systemError("EISDIR", { syscall: "read" }), "/home/shim")).toBe(
    "this is a folder; name a file (EISDIR: said)",
  );
  const others = [systemError("ENOENT", { syscall: "spawn git" }), systemError("ERR_X", {})];
  for (const other of [new Error("oops"), "oops", ...others]) expect(fileErrorText(other, "/home/shim")).toBeNull();
});

it("every command answers with one JSON document under --json @night", async () => {
  const home = aSeededHome();
  const checkpoint = checkpointOf(home, ids.dead);
  const [dead, elsewhere] = [ids.dead, ids.elsewhere];
  const codes: Record<string, number> = {
    mcp: 1,
    "hook Stop": 1,
    [`restore ${checkpoint}`]: 1,
    "sessions export": 2,
    [`forget ${dead}`]: 1,
    "init --dry-run": 3,
    "init --remove": 3,
  };
  const succeed = `up, sessions, sessions --incomplete, sessions show ${dead}, sessions search parser, resume,
    sessions show ${dead} --stored, sessions show ${checkpoint}, resume --dismiss ${elsewhere},
    resume --undo ${elsewhere}, doctor, config, config get recovery, config set recovery ask,
    config unset recovery, config path, pause 1h, pause --off, sessions export all.jsonl, sessions import all.jsonl`;
  for (const command of [...Object.keys(codes), ...succeed.split(/,\s+/), `forget ${dead} --yes`]) {
    const ran = await home.shim(command, "--json");
    expect([command, ran.code, typeof ran.json()]).toEqual([command, codes[command] ?? 0, "object"]);
  }
});

it("on a fresh machine reading commands answer that there is nothing, and create nothing", async () => {
  const home = aCliHome();
  expect(await home.shim("up --once")).toMatchObject(
    printed("Nothing is stored on this machine yet.", "shim init", "shim demo"),
  );
  const reading = ["sessions", "sessions search x", "doctor", "config", "resume"];
  expect(await home.codes(...reading)).toEqual([0, 0, 0, 0, 3]);
  expect(existsSync(home.paths.home)).toBe(false);
});

it.skipIf(process.platform === "win32")("can be started by its name: npx neither fails nor changes the clone", () => {
  expect(statSync(join(import.meta.dirname, "..", "..", "..", "bin", "shim.mjs")).mode & 0o111).toBe(0o111);
});

/** Nothing of the schema can be read any more. */
function damage(home: CliHome): void {
  home.runtime.store.close();
  const file = openSync(home.paths.database, "r+");
  writeSync(file, Buffer.alloc(16_384, 0xa5), 0, 16_384, 0);
  closeSync(file);
}

it("the command that finds a damaged store, and each later one, report it on stderr until it is acknowledged; without a backup they name none", async () => {
  const home = aSeededHome();
  damage(home);
  const ran = await home.shim("sessions");
  expect(ran.code).toBe(0);
  expect(ran.err.match(/^NOTICE: The store was damaged/gm)).toHaveLength(1);
  const lost = "What was on damaged pages and in no good backup is lost.";
  expect(ran.err).toEqual(holding("There was no good backup, so a new, empty store was created.", lost));
  expect(ran.err).not.toContain("after the backup");
  expect(ran.out).not.toContain("NOTICE");
  const later = await home.shim("sessions search parser --json");
  expect(later.json()).toMatchObject({ sessions: [] });
  expect(later.err).toEqual(holding(/^NOTICE: The store was damaged/m, "shim doctor --acknowledge"));
  await home.shim("doctor --acknowledge");
  expect((await home.shim("sessions")).err).toBe("");
});

it("commands that show notices in their answer, and those that open no store, do not repeat them", async () => {
  const home = aCliHome();
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", "the store was damaged"));
  for (const command of ["up --once", "doctor", "config path"])
    expect([command, (await home.shim(command)).err]).not.toEqual([command, holding("NOTICE")]);
  expect((await home.shim("sessions show nope")).err).toContain("NOTICE: the store was damaged");
});

it("looking for notices makes no store, and adds nothing to an error of the store", async () => {
  const home = aCliHome();
  expect((await home.shim("sessions")).err).toBe("");
  expect(existsSync(home.paths.home)).toBe(false);
  const locked = new StoreError("store_locked", "another process is writing");
  const ran = await home.shimWith(withStore(home, { read: throwing(locked) }), "sessions");
  expect(ran.err).toBe("shim: another process is writing\n");
});

const T0 = 1_700_000_000_000;

it("durations are numbers with units, one after the other; anything else is none", () => {
  const good: [string, number][] = [
    ["90s", 90_000],
    ["15m", 900_000],
    ["15min", 900_000],
    ["3h", 10_800_000],
    ["2d", 172_800_000],
    ["1w", 604_800_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [" 2D ", 172_800_000],
  ];
  for (const [text, ms] of good) expect([text, parseDuration(text)]).toEqual([text, ms]);
  for (const text of ["", "2", "d", "-1h", "0s", "2 days", "1h foo", "1e3s", "9999999h"])
    expect([text, parseDuration(text)]).toEqual([text, null]);
});

it("a moment is so long ago, a day from its first to its last moment, or ISO 8601", () => {
  expect(parseTime("2h", T0)).toBe(T0 - 7_200_000);
  expect(parseTime("2023-11-14", T0)).toBe(new Date(2023, 10, 14).getTime());
  expect(parseTime("2023-11-14T22:13:20Z", T0)).toBe(T0);
  for (const text of ["2023-02-31", "2023-13-01", "yesterday", "2023-11-14T99:00", "14.11.2023"]) {
    expect([text, parseTime(text, T0)]).toEqual([text, null]);
  }
});

it("times are shown as the machine's own time zone has them, and can be read again", () => {
  const text = localTime(T0);
  expect(text).toMatch(/^2023-11-1[45] \d{2}:\d{2}:20$/);
  expect(parseTime(text.replace(" ", "T"), 0)).toBe(T0);
});
