import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { Claude, claimOf, storedSession, stateOf } from "#harness/machine/claude.ts";
import { tempRuntime, T0 } from "#harness/machine/temp-runtime.ts";
import { tempHome } from "#harness/store/store-test.ts";
import { readState } from "#src/machine/recovery/session-state.ts";
import { withConnection } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";

type Columns = Readonly<Record<string, string | number | null>>;

/** Written by commit 7b8275a5e: one chat died in its second prompt, another one finished. */
const kept = join(import.meta.dirname, "../../harness/store/kept/store-of-7b8275a5e.db.gz");
const died = "20487890-04b4-4fe0-bbd5-6aa531354563";
const finished = "b0487890-04b4-4fe0-bbd5-6aa531354563";

function earlierStore() {
  const paths = tempHome();
  mkdirSync(dirname(paths.database), { recursive: true });
  writeFileSync(paths.database, gunzipSync(readFileSync(kept)));
  return paths;
}

it("a store of 7b8275a5e opens with its sessions: the next chat gets the brief of the one that died", () => {
  const paths = earlierStore();
  const runtime = tempRuntime({ paths, now: T0 + 600_000 });
  const next = new Claude(runtime, {
    pid: 4_000,
    cwd: "/home/user/parser",
    session: "c0487890-04b4-4fe0-bbd5-6aa531354563",
  });
  const brief = next.start();
  // It was taken on, not repaired.
  expect(readdirSync(dirname(paths.database)).filter((name) => /damaged|aside/.test(name))).toEqual([]);
  expect(brief).not.toContain("damaged");
  expect(brief).toContain("use the new lexer");
  expect(brief).toContain("now write its tests");
  expect(brief).toContain("npm test");
  expect(storedSession(runtime, finished)).toMatchObject({
    ending: { how: "ended", reason: "prompt_input_exit", isSettled: true },
  });
  expect(stateOf(runtime, died)?.prompts.map(({ text }) => text)).toEqual(["use the new lexer", "now write its tests"]);
  next.turn("go on", "Done.");
  expect(stateOf(runtime, next.session)?.prompts.map(({ text }) => text)).toEqual(["go on"]);
});

it.each(["offered", "recovered", "dismissed", null])(
  "a session that a store of 7b8275a5e has as %s is that afterwards",
  (recovery) => {
    const paths = earlierStore();
    withConnection(openBetterSqlite3({ path: paths.database, readOnly: false, busyMs: 0 }), (sql) => {
      const note = "INSERT INTO recoveries (at, session, action, bySession, detail) VALUES (?, ?, ?, ?, '{}')";
      for (const action of ["offered", recovery ?? "taken"]) sql.run(note, T0, died, action, "next");
      sql.run("UPDATE sessions SET recovery = ?, recoveryBy = ? WHERE id = ?", recovery, recovery && "next", died);
    });
    const runtime = tempRuntime({ paths, now: T0 + 600_000 });
    expect(claimOf(runtime, died)?.is ?? null).toBe(recovery);
  },
);

const over = T0 + 60_260;
const leftWith = (detachReason: string): Columns => ({ detachedAt: over, detachReason });
const question = `{"text":"Shall I go on?"}`;
const unended: Columns = { endedAt: null, endReason: null };

/** What that build showed of each end; one of a chat that was in its turn, or had ended it. */
it.each<[session: string, end: Columns, cause: string, word: string]>([
  [died, {}, "killed", "died (killed)"],
  [died, leftWith("interrupted"), "closed", "died (closed)"],
  [died, leftWith("sigterm"), "closed", "died (closed)"],
  [died, leftWith("stdin_end"), "killed", "died (killed)"],
  [died, leftWith("parent_death"), "killed", "died (killed)"],
  [finished, { endedAt: over, endReason: "logout" }, "", "ended (finished)"],
  [finished, unended, "killed", "died (killed)"],
  [finished, { ...unended, ...leftWith("closed") }, "closed", "ended (closed with nothing open)"],
  [finished, { ...unended, ...leftWith("closed_open") }, "closed", "died (closed)"],
  [finished, { ...unended, ...leftWith("sighup") }, "closed", "died (closed)"],
  [finished, { ...unended, ...leftWith("client_gone") }, "killed", "died (killed)"],
])("a session of a store of 7b8275a5e is shown in the word of that build: %s, %o", (session, end, cause, word) => {
  for (const deathAt of cause === "" ? [null] : [null, over])
    for (const recovery of [null, "offered", "recovered", "dismissed"]) {
      const paths = earlierStore();
      withConnection(openBetterSqlite3({ path: paths.database, readOnly: false, busyMs: 0 }), (sql) => {
        const columns = { ...end, deathAt, recovery, recoveryBy: recovery && "next" };
        for (const [name, value] of Object.entries(columns))
          sql.run(`UPDATE sessions SET ${name} = ? WHERE id = ?`, value, session);
        if (end["detachReason"] === "closed_open")
          sql.run(
            "INSERT INTO journal (session, at, kind, key, body) VALUES (?, ?, 'assistant', 'q', ?)",
            session,
            over,
            question,
          );
        if (deathAt !== null)
          sql.run("INSERT INTO crashes VALUES (?, ?, ?, 'detail', '{}', NULL, 0, 0)", session, over, cause);
        const note = "INSERT INTO recoveries (at, session, action, bySession, detail) VALUES (?, ?, ?, 'next', '{}')";
        if (recovery) sql.run(note, T0 + 600_000, session, recovery);
      });
      const runtime = tempRuntime({ paths, now: T0 + 600_000 });
      const stored = storedSession(runtime, session);
      const shown = runtime.store.read((sql) => readState(sql, runtime, stored), null);
      const offered = word.startsWith("died") ? word.replace(")", "; offered to chat next, 0 s ago)") : word;
      const words = { offered, recovered: "ended (continued by chat next)", dismissed: "ended (dismissed)" };
      const isFinished = word === "ended (finished)" || recovery === null;
      expect([deathAt, recovery, `${shown?.state} (${shown?.detail})`]).toEqual([
        deathAt,
        recovery,
        isFinished ? word : words[recovery as keyof typeof words],
      ]);
    }
});
