import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { Claude, claimOf, storedSession, stateOf } from "#harness/machine/claude.ts";
import { tempRuntime, T0 } from "#harness/machine/temp-runtime.ts";
import { tempHome } from "#harness/store/store-test.ts";
import { withConnection } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";

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
