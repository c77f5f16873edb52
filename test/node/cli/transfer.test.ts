import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { aCliHome, addSession, aSeededHome, type CliHome } from "#harness/machine/cli-home.ts";
import { checkpointOf, failed, holding, ids, linesOf, printed } from "#harness/machine/cli-home.ts";
import { smallDisk } from "#harness/store/small-disk.ts";

function countSessions(text: string): number {
  return linesOf<{ type: string }>(text).filter(({ type }) => type === "session").length;
}

it("an export goes into a new private file or to stdout, whole or of one session or project, and is restored by import", async () => {
  const home = aSeededHome();
  vi.stubEnv("TMPDIR", home.folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const path = join(home.project, "all.jsonl");
  expect(await home.shim("sessions export all.jsonl")).toMatchObject(printed(path));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(countSessions(readFileSync(path, "utf8"))).toBe(4);
  for (const [filter, count] of [
    ["--session bbbb2", 1],
    ["--project ../other", 1],
    ["--since 1s", 0],
  ] as const)
    expect([filter, countSessions((await home.shim(`sessions export ${filter}`)).out)]).toEqual([filter, count]);
  expect(readdirSync(home.folder).filter((name) => name.startsWith("shim-export-"))).toEqual([]);

  const fresh = aCliHome();
  expect((await fresh.shim("sessions import", path, "--json")).json()).toMatchObject({ file: path, skipped: 0 });
  expect((await fresh.shim("sessions show", checkpointOf(home, ids.dead))).code).toBe(0);
  expect((await fresh.shim("sessions import", path)).out).toMatch(/^Imported 0 rows; already here: \d+\.\n$/);
});

it("a file that is there is not written over, one that could not be written whole does not stay, and one with a bad line imports nothing, and says which line", async () => {
  const home = aSeededHome();
  const { out } = await home.shim("sessions export");
  const path = join(home.folder, "bad.jsonl");
  writeFileSync(path, `${out}{"type":"what"}`);
  const fresh = aCliHome();
  const ran = await fresh.shim("sessions import", path, "--json");
  expect(ran).toMatchObject({ ...failed(1, /line \d+: /), error: "import_refused" });
  expect((await fresh.shim("sessions")).out).toBe("No sessions.\n");
  writeFileSync(join(home.project, "mine"), "x");
  expect((await home.shim("sessions export mine")).code).toBe(1);
  expect(readFileSync(join(home.project, "mine"), "utf8")).toBe("x");
  home.runtime.store.write((sql) => sql.run("UPDATE checkpoints SET hash = 'x' WHERE session = ?", ids.dead));
  const broken = ["sessions export broken.jsonl", "sessions import broken.jsonl", "sessions export --session zzz"];
  expect(await home.codes(...broken)).toEqual([1, 3, 3]);
  expect((await aCliHome().shim("sessions export nothing.jsonl")).code).toBe(3);
});

it("a large file is read in parts, also where a part ends inside a character", async () => {
  const home = aCliHome();
  const text = "ä€😀".repeat(3_000);
  addSession(home, { id: ids.dead, entries: [{ kind: "prompt", text }] });
  const path = join(home.folder, "large.jsonl");
  expect((await home.shim("sessions export", path)).code).toBe(0);
  const fresh = aCliHome();
  expect((await fresh.shim("sessions import", path)).code).toBe(0);
  expect((await fresh.shim("sessions show --stored", ids.dead)).out).toContain(text);
});

const file = "team.jsonl";

const never = (): AbortSignal => new AbortController().signal;

/** A command that is not interrupted. */
function run(home: CliHome, command: string, ...args: string[]): ReturnType<CliHome["shim"]> {
  return home.shimWith({ interrupted: never }, command, ...args);
}

/** Tasks and state of more than one page of an export. */
async function filled(): Promise<CliHome> {
  const home = aCliHome();
  const payload = { text: "x".repeat(60_000) };
  for (let at = 0; at < 30; at++) await home.json("task submit", "build", "--payload", JSON.stringify(payload));
  await home.json("call state.set key=plan --yes", 'value={"steps":[1]}');
  return home;
}

function linesIn(home: CliHome, name: string): string[] {
  return readFileSync(join(home.project, name), "utf8").split("\n");
}

/** What was exported at home, in the folder of another machine. */
async function aCopy() {
  const [home, other] = [await filled(), aCliHome()];
  expect(await run(home, "workspace export", file)).toMatchObject(printed("rows in"));
  const text = readFileSync(join(home.project, file), "utf8");
  writeFileSync(join(other.project, file), text);
  return { home, other, text };
}

it("what a workspace has is written to a private file, and fills another one that then goes on; an interrupted import leaves it read only, as its status says, until the import is complete", async () => {
  const { home, text, other } = await aCopy();
  expect(statSync(join(home.project, file)).mode & 0o777).toBe(0o600);
  expect(existsSync(join(home.project, `${file}.part`))).toBe(false);
  expect(text).not.toContain('"table":"tokens"');
  expect(await home.json("call state.set key=plan value=2 --yes")).toMatchObject({ version: expect.any(Number) });
  expect(await run(other, "workspace import", file)).toMatchObject(failed(1, "Confirm with --yes"));
  const stopped = { interrupted: () => AbortSignal.abort() };
  expect(await other.shimWith(stopped, "workspace import", file, "--yes")).toMatchObject({ code: 130 });
  const { out } = await other.shim("workspace status");
  expect(out).toContain("read only until its import is complete");
  expect(out).not.toContain("workspace thaw");
  const imported = printed("each table counted", "keep the key of before: set it here with `shim workspace key set`");
  expect(await run(other, "workspace import", file, "--yes")).toMatchObject(imported);
  expect((await other.shim("workspace status")).out).not.toContain("read only");
  expect(await other.json("call state.get key=plan")).toMatchObject({ entry: { value: { steps: [1] } } });
  expect(((await other.json("task list")) as { tasks: unknown[] }).tasks).toHaveLength(30);
  expect(await run(other, "workspace import", file, "--yes")).toMatchObject(failed(1, "import into a new one"));
  expect(await run(home, "workspace export", file)).toMatchObject(failed(1, "exists"));
});

it("an interrupted export, also by Ctrl-C, is continued by the same command behind its last whole line, and begins again when the freeze is over", async () => {
  const { home, other, text } = await aCopy();
  const lines = text.split("\n");
  const { freeze } = (await home.json("workspace freeze", "10m")) as { freeze: number };
  const header = JSON.stringify({ ...(JSON.parse(lines[0] ?? "") as object), freeze });
  const cut = [header, ...lines.slice(1, 12)].join("\n") + `\n${lines[12]?.slice(0, 20)}`;
  writeFileSync(join(home.project, "second.part"), cut);
  expect(await run(home, "workspace export", "second")).toMatchObject(printed("rows in"));
  const second = linesIn(home, "second");
  expect(second.slice(0, 12)).toEqual([header, ...lines.slice(1, 12)]);
  writeFileSync(join(other.project, file), second.join("\n"));
  expect(await run(other, "workspace import", file, "--yes")).toMatchObject({ code: 0 });
  writeFileSync(join(home.project, "third.part"), cut);
  expect(await run(home, "workspace export", "third")).toMatchObject({ code: 0, err: holding("again") });
  const stop = new AbortController();
  let pages = 0;
  const passing = { isInteractive: true, stderr: () => void ((pages += 1) === 5 && stop.abort()) };
  const ended = await home.shimWith({ ...passing, interrupted: () => stop.signal }, "workspace export fourth");
  expect(ended).toMatchObject({ code: 130 });
  const before = linesIn(home, "fourth.part").slice(0, -1);
  expect(before.length).toBeGreaterThan(4);
  // Cut at the line feed.
  writeFileSync(join(home.project, "fourth.part"), before.join("\n"));
  expect(await run(home, "workspace export fourth")).toMatchObject(printed("rows in"));
  expect(linesIn(home, "fourth").slice(0, before.length)).toEqual(before);
});

it("a file that is cut, changed or another one is refused before anything is imported", async () => {
  const { text, other } = await aCopy();
  const lines = text.split("\n");
  for (const [content, why] of [
    ["", "it ends after line 0"],
    ["{}\n", "not that of an exported workspace"],
    [text.slice(0, -100), `line ${lines.length - 1} is cut`],
    [`${lines.slice(0, 5).join("\n")}\n`, "it ends after line 5"],
    [text.replace("xxxx", "xxxy"), "SHA-256 differs"],
    [lines.filter((_, at) => at !== 3).join("\n"), "SHA-256 differs"],
    [text.replace('"table":"chats"', '"tables":"chats"'), "is no page of an export"],
  ] as const) {
    writeFileSync(join(other.project, file), content);
    expect([why, await run(other, "workspace import", file, "--yes")]).toMatchObject([why, failed(2, why)]);
  }
  expect(await other.json("call state.set key=k value=1 --yes")).toMatchObject({ version: expect.any(Number) });
  expect(await run(other, "workspace import", "none", "--yes")).toMatchObject(failed(3, "there is no file"));
});

it("--keep-frozen leaves the workspace read only, also after another export, and thaw ends that", async () => {
  const home = await filled();
  // A freeze of ten minutes would not last for all pages.
  const slow = { isInteractive: true, stderr: () => void (home.now += 50_000) };
  const ran = await home.shimWith({ ...slow, interrupted: never }, "workspace export", file, "--keep-frozen", "7d");
  expect(ran).toMatchObject(printed("read only for 7 d"));
  expect(await run(home, "workspace export", "again")).toMatchObject(printed("read only for"));
  expect(await home.shim("call state.set key=k value=1 --yes")).toMatchObject(failed(1, "read only until"));
  expect(await home.shim("workspace status")).toMatchObject(printed("read only for another 7 d"));
  expect(await home.json("call state.get key=plan")).toMatchObject({ entry: { value: { steps: [1] } } });
  expect(await home.shim("workspace thaw")).toMatchObject(printed("takes changes again"));
  expect((await home.shim("workspace status")).out).not.toContain("read only");
  expect(await home.json("call state.set key=k value=1 --yes")).toMatchObject({ version: expect.any(Number) });
});

it("a file that has no room is named, and not the store, whose disk has", async (test) => {
  const home = aSeededHome();
  const disk = smallDisk(test, 1);
  writeFileSync(join(disk, "fill"), Buffer.alloc(1_048_576 - 4_096));
  const file = join(disk, "all.jsonl");
  const { code, err } = await home.shim(`sessions export ${file}`);
  expect([code, err]).toEqual([1, holding(`${file}: the disk is full`)]);
  expect(err).not.toContain(home.paths.database);
  expect(existsSync(file)).toBe(false);
});
