import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { RealServer } from "#harness/edge/real-server.ts";
import { aCliHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { aHomeOnEdge } from "#harness/machine/cli-machines.ts";

const file = "team.jsonl";

/** A command that nobody interrupts. */
function run(home: CliHome, command: string, ...args: string[]): ReturnType<CliHome["shim"]> {
  return home.shimWith({ interrupted: () => new AbortController().signal }, command, ...args);
}

async function filled(home: CliHome): Promise<CliHome> {
  const payload = { text: "x".repeat(60_000) };
  for (let at = 0; at < 30; at++) await home.json("task submit", "build", "--payload", JSON.stringify(payload));
  await home.json("team state set", "plan", '{"steps":[1]}');
  return home;
}

function linesOf(home: CliHome, name = file): string[] {
  return readFileSync(join(home.project, name), "utf8").split("\n");
}

async function exportedFrom(home: CliHome): Promise<string> {
  expect(await run(home, "workspace export", file)).toMatchObject(printed("rows in"));
  return readFileSync(join(home.project, file), "utf8");
}

it("a workspace is written to a private file, and fills another one that then goes on", async () => {
  const home = await filled(await aHomeOnEdge());
  const text = await exportedFrom(home);
  expect(statSync(join(home.project, file)).mode & 0o777).toBe(0o600);
  expect(existsSync(join(home.project, `${file}.part`))).toBe(false);
  expect(linesOf(home).filter((line) => line.includes('"table":"task_texts"')).length).toBeGreaterThan(1);
  expect(text).not.toContain('"table":"tokens"');
  expect(await home.json("team state set", "plan", "2")).toMatchObject({ version: expect.any(Number) });

  const other = await aHomeOnEdge();
  writeFileSync(join(other.project, file), text);
  expect(await run(other, "workspace import", file)).toMatchObject(failed(1, "Confirm with --yes"));
  expect(await run(other, "workspace import", file, "--yes")).toMatchObject(printed("each table counted"));
  expect(await other.json("team state get", "plan")).toMatchObject({ entry: { value: { steps: [1] } } });
  expect(((await other.json("task list")) as { tasks: unknown[] }).tasks).toHaveLength(30);
  expect(await run(other, "workspace import", file, "--yes")).toMatchObject(failed(1, "import into a new one"));
  expect(await run(home, "workspace export", file)).toMatchObject(failed(1, "exists"));
});

it("a machine's own coordinator is exported and filled in the same way", async () => {
  const home = await filled(aCliHome());
  const text = await exportedFrom(home);
  const other = aCliHome();
  writeFileSync(join(other.project, file), text);
  expect(await run(other, "workspace import", file, "--yes")).toMatchObject(printed("each table counted"));
  expect(((await other.json("task list")) as { tasks: unknown[] }).tasks).toHaveLength(30);
});

it("an interrupted export continues behind its last whole line, and begins again when the freeze is over", async () => {
  const home = await filled(await aHomeOnEdge());
  const whole = await exportedFrom(home);
  await home.json("workspace freeze", "10m");
  const lines = whole.split("\n");
  const { freeze } = (await home.json("workspace freeze", "10m")) as { freeze: number };
  const header = JSON.stringify({ ...(JSON.parse(lines[0] ?? "") as object), freeze });
  const cut = [header, ...lines.slice(1, 12)].join("\n") + `\n${lines[12]?.slice(0, 20)}`;
  writeFileSync(join(home.project, "second.part"), cut);
  expect(await run(home, "workspace export", "second")).toMatchObject(printed("rows in"));
  const second = linesOf(home, "second");
  expect(second[0]).toBe(header);
  expect(second.slice(1, 12)).toEqual(lines.slice(1, 12));
  const other = await aHomeOnEdge();
  writeFileSync(join(other.project, file), second.join("\n"));
  expect(await run(other, "workspace import", file, "--yes")).toMatchObject({ code: 0 });

  writeFileSync(join(home.project, "third.part"), cut);
  expect(await run(home, "workspace export", "third")).toMatchObject({
    code: 0,
    err: expect.stringContaining("again"),
  });
});

it("Ctrl-C ends an export, and the same command continues it", async () => {
  const home = await filled(aCliHome());
  const stop = new AbortController();
  let pages = 0;
  const passing = { isInteractive: true, stderr: () => void ((pages += 1) === 5 && stop.abort()) };
  const ended = await home.shimWith({ ...passing, interrupted: () => stop.signal }, "workspace export", file);
  expect(ended).toMatchObject({ code: 130 });
  const before = linesOf(home, `${file}.part`).slice(0, -1);
  expect(before.length).toBeGreaterThan(4);
  // Cut at the line feed.
  writeFileSync(join(home.project, `${file}.part`), before.join("\n"));
  expect(await run(home, "workspace export", file)).toMatchObject(printed("rows in"));
  expect(linesOf(home).slice(0, before.length)).toEqual(before);
});

it("a page that is refused for now is asked for again", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const details = { limit: "maxOperationsPerSecond" };
  const busy = { error: { code: "throttled", message: "wait", retryable: true, retryAfterMs: 1, details } };
  const page = { page: { table: "meta", columns: ["key", "value"], rows: [["a", "b"]] }, next: null };
  const pages = [busy, busy, page];
  server.answer = ({ url }, response) => {
    const answer = url.includes("/export") ? pages.shift() : { freeze: 1, remainingMs: 0 };
    response.statusCode = answer === busy ? 429 : 200;
    response.end(JSON.stringify(answer));
  };
  home.join(server.url, { adminToken: "shim_c.d" });
  expect(await run(home, "workspace export", file)).toMatchObject(printed("1 row in"));
  expect(pages).toEqual([]);
});

it("a file that is cut, changed or another one is refused before anything is imported", async () => {
  const home = await filled(await aHomeOnEdge());
  const text = await exportedFrom(home);
  const other = await aHomeOnEdge();
  const attempt = async (content: string): Promise<string> => {
    writeFileSync(join(other.project, file), content);
    const { code, err } = await run(other, "workspace import", file, "--yes");
    expect(code).toBe(2);
    return err;
  };
  const lines = text.split("\n");
  expect(await attempt("")).toContain("it ends after line 0");
  expect(await attempt("{}\n")).toContain("not that of an exported workspace");
  expect(await attempt(text.slice(0, -100))).toContain(`line ${lines.length - 1} is cut`);
  expect(await attempt(lines.slice(0, 5).join("\n") + "\n")).toContain("it ends after line 5");
  expect(await attempt(text.replace("xxxx", "xxxy"))).toContain("SHA-256 differs");
  expect(await attempt(lines.filter((_, at) => at !== 3).join("\n"))).toContain("SHA-256 differs");
  expect(await attempt(text.replace('"table":"chats"', '"tables":"chats"'))).toContain("is no page of an export");
  expect(await other.json("team state set", "k", "1")).toMatchObject({ version: expect.any(Number) });
  expect(await run(other, "workspace import", "none", "--yes")).toMatchObject(failed(3, "there is no file"));
});

it("--keep-frozen leaves the workspace read only, and thaw ends that", async () => {
  const home = await filled(aCliHome());
  expect(await run(home, "workspace export", file, "--keep-frozen", "7d")).toMatchObject(printed("read only for 7 d"));
  expect(await home.shim("team state set", "k", "1")).toMatchObject(failed(1, "read only until"));
  expect(await home.json("team state get", "plan")).toMatchObject({ entry: { value: { steps: [1] } } });
  const second = await run(home, "workspace export", "second");
  expect(second).toMatchObject(printed("The workspace is read only for 7 d more"));
  expect(await home.shim("workspace thaw")).toMatchObject(printed("takes changes again"));
  expect(await home.json("team state set", "k", "1")).toMatchObject({ version: expect.any(Number) });
  expect(await run(home, "workspace export", "x", "--keep-frozen", "soon")).toMatchObject({ code: 2 });
});
