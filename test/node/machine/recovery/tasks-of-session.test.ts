import { join } from "node:path";
import { expect, it } from "vitest";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { findIncomplete } from "#src/machine/recovery/incomplete/detect.ts";
import { buildSessionContent } from "#src/machine/sharing/record-contents.ts";
import { restore } from "#src/machine/recovery/incomplete/restoration.ts";
import { Claude, storedSession } from "#harness/machine/claude.ts";
import { type TeamRig, twoChats } from "#harness/team/team-rig.ts";

function incomplete({ base }: TeamRig): string[] {
  const found = base.store.read((sql) => findIncomplete(sql, base.processes, base.now()), []);
  return found.map(({ session }) => session.id);
}

function briefOf({ base }: TeamRig, id: string): string {
  const from = restore(base, storedSession(base, id));
  return from ? brief(from, base.now(), "brief") : "";
}

it("the brief of a session names its task, and what other machines get of it does, also when its server outlived the client and saw another chat take it", async () => {
  const { rig, one, other } = await twoChats();
  const { session } = one.claude;
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await one.ask("shim_next", { types: ["tests"] });
  one.claude.kill();
  expect(briefOf(rig, session)).toContain("its task 1 (tests) was not finished then");
  await rig.time.until(other.ask("shim_next", { types: ["tests"], waitMs: 40_000 }));
  await one.team.end("client_gone");
  const left = rig.base.store.read(
    (sql) => sql.all("SELECT resource FROM team_holdings WHERE session = ?", session),
    [],
  );
  expect(left).toEqual([]);
  expect(briefOf(rig, session)).toMatch(
    /its task 1 \(tests\) .*`shim task show 1` says whether another chat has done it/,
  );
  expect(incomplete(rig)).toContain(session);
  const row = storedSession(rig.base, session);
  const shared = rig.base.store.read((sql) => buildSessionContent(sql, row, rig.base.now()), null);
  expect(shared?.tasks).toEqual([{ task: 1, type: "tests" }]);
});

it("a session that a worker began for a task is no unfinished work", async () => {
  const { rig } = await twoChats();
  const folder = join(rig.base.paths.home, "work", "task-1-abc", "tree");
  const claude = new Claude(rig.base, { pid: 8_100, cwd: folder, session: "88888888-04b4-4fe0-bbd5-6aa531354563" });
  claude.start();
  claude.prompt('Do task 1 (fix):\n<shim-task-1>{"type":"fix"}</shim-task-1>');
  claude.kill();
  expect(incomplete(rig)).toEqual([]);
});
