import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, aSeededHome, checkpointOf, failed, ids, printed } from "#harness/machine/cli-home.ts";

function typed(all: readonly string[], type: string): unknown[] {
  return all.filter((line) => (JSON.parse(line) as { type: string }).type === type);
}

it("an export goes into a new private file or to stdout, whole or of one session or project, and is restored by import", async () => {
  const home = aSeededHome();
  const path = join(home.project, "all.jsonl");
  expect(await home.shim("sessions export all.jsonl")).toMatchObject(printed(path));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const lines = readFileSync(path, "utf8").trim().split("\n");
  expect(typed(lines, "session")).toHaveLength(4);
  const one = (await home.shim("sessions export --session bbbb2")).out.trim().split("\n");
  expect(typed(one, "session")).toHaveLength(1);
  expect(typed((await home.shim("sessions export --project ../other")).out.trim().split("\n"), "session")).toHaveLength(
    1,
  );
  expect(typed((await home.shim("sessions export --since 1s")).out.trim().split("\n"), "session")).toHaveLength(0);
  expect(await home.json("sessions export one.jsonl --session aaaa")).toMatchObject({
    file: join(home.project, "one.jsonl"),
  });

  const fresh = aCliHome();
  expect((await fresh.shim("sessions import", path, "--json")).json()).toMatchObject({ file: path, skipped: 0 });
  expect((await fresh.shim("sessions show", checkpointOf(home, ids.dead))).code).toBe(0);
  expect((await fresh.shim("sessions import", path)).out).toMatch(/^Imported 0 rows; already here: \d+\.\n$/);
});

it("a file that is there is not written over, and one that could not be written whole does not stay", async () => {
  const home = aSeededHome();
  writeFileSync(join(home.project, "mine"), "x");
  expect((await home.shim("sessions export mine")).code).toBe(1);
  expect(readFileSync(join(home.project, "mine"), "utf8")).toBe("x");
  home.runtime.store.write((sql) => sql.run("UPDATE checkpoints SET hash = 'x' WHERE session = ?", ids.dead));
  const broken = ["sessions export broken.jsonl", "sessions import broken.jsonl", "sessions export --session zzz"];
  expect(await home.codes(...broken)).toEqual([1, 3, 3]);
  expect((await aCliHome().shim("sessions export nothing.jsonl")).code).toBe(3);
});

it("a file with a bad line imports nothing, and says which line", async () => {
  const home = aSeededHome();
  const { out } = await home.shim("sessions export");
  const path = join(home.folder, "bad.jsonl");
  writeFileSync(path, `${out}{"type":"what"}`);
  const fresh = aCliHome();
  const ran = await fresh.shim("sessions import", path, "--json");
  expect(ran).toMatchObject({ ...failed(1, /line \d+: /), error: "import_refused" });
  expect((await fresh.shim("sessions")).out).toBe("No sessions.\n");
});

it("a large file is read in parts, also where a part ends inside a character", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) =>
    sql.run(
      "UPDATE journal SET body = ? WHERE session = ? AND kind = 'prompt'",
      JSON.stringify({ text: "ä€😀".repeat(3_000) }),
      ids.dead,
    ),
  );
  const path = join(home.folder, "large.jsonl");
  expect((await home.shim("sessions export", path)).code).toBe(0);
  const fresh = aCliHome();
  expect((await fresh.shim("sessions import", path)).code).toBe(0);
  const [row] = fresh.runtime.store.read(
    (sql) => sql.all<{ body: string }>("SELECT body FROM journal WHERE session = ? AND kind = 'prompt'", ids.dead),
    [],
  );
  expect(row?.body).toContain("ä€😀".repeat(3_000));
});

it("a document needs its session, and goes to stdout or a new private file", async () => {
  const home = aSeededHome();
  expect(await home.shim("sessions export --format markdown")).toMatchObject(
    failed(2, "the format markdown needs a session"),
  );
  const path = join(home.project, "session.md");
  expect(await home.shim("sessions export session.md --format markdown --session", ids.dead)).toMatchObject(
    printed(path),
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).toContain(ids.dead);
  expect((await home.shim("sessions export session.md --format markdown --session", ids.dead)).code).toBe(1);
});
