import { expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { shortIdAmong, shortIds } from "#src/contract/short-id.ts";
import {
  aCliHome,
  addSession,
  aSeededHome,
  checkpointOf,
  holding,
  ids,
  printed,
  type CliHome,
} from "#harness/machine/cli-home.ts";

/** Ids of workers begin with the time: these three share 8, 13 and more characters. */
const workers = [
  "01a1fbb6-1111-7aaa-8000-000000000001",
  "01a1fbb6-1112-7aaa-8000-000000000002",
  "01a1fbb6-1112-7aaa-9000-000000000003",
] as const;

function withWorkers(): CliHome {
  const home = aCliHome();
  for (const id of workers) addSession(home, { id, pid: 300, title: `task of ${id.slice(-1)}` });
  return home;
}

async function shownIds(home: CliHome): Promise<string[]> {
  const { out } = await home.shim("sessions");
  return out
    .split("\n")
    .slice(1, -1)
    .map((line) => line.split(" ")[0] ?? "")
    .toSorted();
}

it("sessions are shown with as many characters as are unique, and what is shown is accepted", async () => {
  const home = withWorkers();
  addSession(home, { id: ids.dead, pid: 200 });
  const shown = await shownIds(home);
  expect(shown).toEqual(["01a1fbb6-1111", "01a1fbb6-1112-7aaa-8", "01a1fbb6-1112-7aaa-9", "bbbb2222"]);
  for (const id of shown) expect((await home.shim("sessions show", id)).code).toBe(0);
  expect((await home.shim("up --once")).out).toContain("shim resume 01a1fbb6-1112-7aaa-9\n");
});

it("checkpoints are shown with as many characters as are unique, and what is shown is accepted", async () => {
  const home = withWorkers();
  const short = new Set<string>();
  for (const session of await shownIds(home)) {
    const { checkpoints } = await home.json("sessions show", session);
    for (const { id, shortId } of checkpoints as { id: string; shortId: string }[]) {
      expect(await home.json("sessions show", shortId)).toMatchObject({ checkpoint: { id } });
      expect((await home.shim("sessions show", session)).out).toContain(`  ${shortId}  `);
      short.add(shortId);
    }
  }
  expect(short.size).toBe(3);
});

it("a short id has at least 8 characters behind its prefix, does not end in a hyphen, and may be the whole id", () => {
  expect(shortIdAmong("cp_01a1fbb6-1111", [])).toBe("cp_01a1fbb6");
  expect(shortIdAmong("01a1fbb6-1111", ["01a1fbb6x"])).toBe("01a1fbb6-1");
  expect(shortIdAmong("abc", ["abc", "abcdefghij"])).toBe("abc");
  expect(shortIdAmong("abcdefghij", ["abcdefghijk"])).toBe("abcdefghij");
  const ids = ["01a1fbb6-1111-7aaa", "01a1fbb6-1112-7bbb", "ses_018bcfe5-6800", "ffffffff-1", "s1"];
  expect(ids.map(shortIds(ids))).toEqual(["01a1fbb6-1111", "01a1fbb6-1112", "ses_018bcfe5", "ffffffff", "s1"]);
  const short = shortIds(["aaaaaaaa1", "aaaaaaaa2", "b"]);
  expect(["aaaaaaaa1", "aaaaaaaa2", "b", "aaaaaaaa3"].map(short)).toEqual(["aaaaaaaa1", "aaaaaaaa2", "b", "aaaaaaaa3"]);
});

it("an ambiguous id is refused with short ids and titles, and at most eight of them", async () => {
  const home = withWorkers();
  const ran = await home.shim("sessions show 01a1fbb6-1112");
  expect(ran.code).toBe(2);
  expect(ran.err).toContain('"01a1fbb6-1112" matches several sessions or checkpoints; give more of the id:\n');
  expect(ran.err).toContain("  01a1fbb6-1112-7aaa-8  0 s ago  task of 2\n  01a1fbb6-1112-7aaa-9  0 s ago  task of 3\n");
  expect(ran.err).not.toContain("task of 1");
  const checkpoint = await home.shim("restore cp_");
  expect(checkpoint.code).toBe(2);
  expect(checkpoint.err).toMatch(/ {2}checkpoint cp_\S+ {2}0 s ago {2}on_demand {2}task of 1\n/);
  for (let at = 0; at < 9; at += 1) addSession(home, { id: `cccc0000-${at}`, pid: 300 });
  const many = await home.shim("sessions show cccc --json");
  expect((many.json()["error"] as { candidates: string[] }).candidates).toHaveLength(8);
  expect(many.err).toContain("\n  and more\n");
});

it("`sessions show` takes a session or a checkpoint, and refuses a beginning that fits both", async () => {
  const home = aCliHome();
  addSession(home, { id: "abcd1111", pid: 300 });
  const rename = (id: string) =>
    home.runtime.store.write((sql) => sql.run("UPDATE checkpoints SET id = ? WHERE session = 'abcd1111'", id));
  rename("cp_abcd2222");
  expect(await home.json("sessions show abcd1")).toMatchObject({ session: { id: "abcd1111" }, checkpoints: [{}] });
  expect(await home.json("sessions show abcd2")).toMatchObject({ checkpoint: { id: "cp_abcd2222" } });
  const both = await home.shim("sessions show abcd --json");
  expect(both.json()).toMatchObject({ error: { code: "ambiguous", candidates: ["abcd1111", "cp_abcd2222"] } });
  expect(both.err).toContain("\n  checkpoint cp_abcd2222  ");
  expect(await home.json("sessions show cp_abcd")).toMatchObject({ checkpoint: { id: "cp_abcd2222" } });
});

it("a session is named, renamed, and loses its name again", async () => {
  const home = aSeededHome();
  const named = await home.shim("sessions name bbbb2", "  Parser\n work  ");
  expect([named.code, named.out]).toEqual([0, 'bbbb2222 is called "Parser work".\n']);
  expect((await home.shim("sessions")).out).toMatch(/bbbb2222 .* Parser work\n/);
  expect(await home.json("sessions name bbbb2 Second")).toEqual({
    session: ids.dead,
    shortId: "bbbb2222",
    name: "Second",
    title: "Second",
  });
  expect((await home.shim("sessions name bbbb2 --clear")).out).toBe(
    'bbbb2222 has no name now; its title is "work of bbbb".\n',
  );
  expect((await home.shim("sessions")).out).not.toContain("Second");
});

it("a name is redacted and bounded; wrong usage changes nothing", async () => {
  const home = aSeededHome();
  const secret = `ghp_${"a1B2c3D4e5F6g7H8i9J0".repeat(2).slice(0, 36)}`;
  await home.shim("sessions name bbbb2", `token ${secret}`);
  const stored = home.runtime.store.read((sql) => sessions.get(sql, ids.dead)?.name, null);
  expect(stored).not.toContain(secret);
  await home.misuses("sessions name bbbb2", [
    ["", /give either a name or --clear/],
    ["x --clear", /give either a name or --clear/],
    [["  "], /the name is empty/],
    [["x".repeat(101)], /longer than 100 characters/],
  ]);
  expect((await home.shim("sessions name zzzz x")).code).toBe(3);
  expect(home.runtime.store.read((sql) => sessions.get(sql, ids.dead)?.name, null)).toBe(stored);
});

it("the name travels with an export", async () => {
  const home = aSeededHome();
  await home.shim("sessions name bbbb2", "Parser work");
  const file = `${home.folder}/all.jsonl`;
  await home.shim("sessions export", file);
  const other = aCliHome();
  expect((await other.shim("sessions import", file)).code).toBe(0);
  expect(other.runtime.store.read((sql) => sessions.get(sql, ids.dead)?.name, null)).toBe("Parser work");
});

it("the name replaces the title in every list", async () => {
  const home = aSeededHome();
  await home.shim("sessions name bbbb2", "Parser work");
  for (const list of ["sessions --incomplete", "up --once", "sessions show bbbb2", "sessions search parser"])
    expect([list, (await home.shim(list)).out]).toEqual([list, holding("Parser work")]);
  expect((await home.json("sessions"))["sessions"]).toContainEqual(
    expect.objectContaining({ id: ids.dead, title: "Parser work", name: "Parser work" }),
  );
});

it("a session that was offered and not taken has its cause in `up` and in JSON, and so has one that is continued", async () => {
  const home = aSeededHome();
  const mark = (recovery: sessions.Recovery): void =>
    home.runtime.store.write((sql) => sessions.setRecovery(sql, home.now, ids.dead, recovery, "nobody"));
  const cause = async (): Promise<unknown> => {
    const listed = (await home.json("sessions"))["sessions"] as { id: string; cause: unknown }[];
    return listed.find(({ id }) => id === ids.dead)?.cause;
  };
  mark("offered");
  home.now += 120_000;
  expect((await home.shim("up --once")).out).toMatch(/bbbb2222 .* died \(killed\), 3 min ago: shim resume bbbb2222\n/);
  expect(await cause()).toBe("killed");
  for (const recovery of ["recovered", "dismissed"] as const) {
    mark(recovery);
    expect(await cause()).toBe("killed");
  }
});

it("a session is shown with its newest checkpoints, found once, and each row shows what it holds", async () => {
  const home = aCliHome();
  addSession(home, {
    id: ids.dead,
    pid: 200,
    title: "fix the parser",
    entries: [
      { kind: "prompt", text: "fix the parser with pnpm" },
      { kind: "tool_start", id: "t1", name: "Bash", input: "pnpm test" },
      { kind: "tool_end", id: "t2", name: "Edit", input: "a.ts", path: "/p/a.ts", action: "edited" },
    ],
  });
  const entries = [{ kind: "prompt", text: "write docs about pnpm" } as const];
  addSession(home, { id: ids.finished, pid: 400, title: "docs", entries });
  for (let at = 0; at < 6; at += 1) {
    home.now += 1_000;
    home.runtime.store.write((sql) =>
      sql.run(
        `INSERT INTO checkpoints (id, session, at, trigger, hash, journalSeq, rawBytes, redactions, summary, body)
         SELECT ?, session, ?, 'time', hash, journalSeq, rawBytes, redactions, summary, body FROM checkpoints
         WHERE session = ? LIMIT 1`,
        `cp_zz${at}00000000`,
        home.now,
        ids.dead,
      ),
    );
  }
  const { out } = await home.shim("sessions show bbbb --limit 5");
  const row = / {2}cp_zz500000 +0 s ago +time +fix the parser with pnpm\n/;
  expect(out).toEqual(holding(row, "  2 more: add `--limit 7`\n"));
  expect((await home.json("sessions show bbbb"))["checkpoints"]).toHaveLength(7);
  expect((await home.json("sessions show bbbb --limit 6"))["checkpoints"]).toHaveLength(6);
  const limited = (await home.json("sessions search pnpm --limit 1"))["sessions"];
  expect(limited).toEqual([expect.objectContaining({ id: ids.dead, total: 7 })]);
  const found = await home.shim("sessions search pnpm --limit 2");
  expect(found.out.match(/^bbbb2222 {2}fix the parser {2}\S+/gm)).toHaveLength(1);
  expect(found.out).toContain("  5 more: add `--session bbbb2222`\n");
  expect(found.out).toMatch(/^cccc4444 {2}docs/m);
  expect((await home.json("sessions search pnpm"))["sessions"]).toMatchObject([
    { id: ids.dead, total: 7, checkpoints: [{ contents: { lastRequest: "fix the parser with pnpm" } }, {}] },
    { id: ids.finished, total: 1 },
  ]);
});

it("a damaged checkpoint is marked, and the others are listed", async () => {
  const home = aSeededHome();
  const id = checkpointOf(home, ids.dead);
  home.runtime.store.write((sql) => sql.run("UPDATE checkpoints SET hash = 'x' WHERE id = ?", id));
  expect(await home.shim("sessions search parser")).toMatchObject(printed("(damaged)", "fix the parser of aaaa1111"));
  expect(await home.shim("sessions show", ids.dead)).toMatchObject(printed("(damaged)"));
});

it("with other machines in the answer it says that none died here", async () => {
  const home = aCliHome();
  const { out } = await home.shim("sessions --incomplete --all-machines");
  expect(out).toMatch(/^No session died unfinished on this machine\.\n\nOther machines: none\./);
  expect((await home.shim("sessions --incomplete")).out).toBe("No session died unfinished.\n");
});
