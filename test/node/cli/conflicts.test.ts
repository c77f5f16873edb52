import { join } from "node:path";
import { expect, it } from "vitest";
import * as journal from "#src/machine/sessions/journal.ts";
import * as devices from "#src/machine/sharing/device.ts";
import { sessionsElsewhere } from "#src/store/sync-tables.ts";
import { encode } from "#src/store/checkpoint-body.ts";
import { emptyState } from "#src/machine/sessions/work-state.ts";
import { teamConflicts } from "#src/store/team-tables.ts";
import { aCliHome, addSession, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";

const [one, two] = ["aaaa1111-0000-4000-8000-000000000001", "bbbb2222-0000-4000-8000-000000000002"];

function withConflict(): CliHome {
  const home = aCliHome();
  for (const [id, pid] of [
    [one, 1_001],
    [two, 1_002],
  ] as const) {
    home.alive.add(pid);
    addSession(home, { id, pid });
  }
  const trees = { root: home.project, otherRoot: home.other, did: "changed", otherDid: "deleted" } as const;
  const row = {
    kind: "merge",
    session: one,
    other: two,
    path: "src/a.ts",
    lines: "7-9",
    ...trees,
    at: home.now,
  } as const;
  home.runtime.store.write((sql) => teamConflicts.insert(sql, row));
  return home;
}

it("`shim team conflicts` shows what is open between living chats", async () => {
  expect(await aCliHome().shim("team conflicts")).toMatchObject(printed("No conflict between chats is foreseen.\n"));
  const home = withConflict();
  expect(await home.shim("team conflicts")).toMatchObject(
    printed(
      `Will not merge (0 s ago):
  aaaa1111 "work of aaaa" (Claude Code) in ~/project
  bbbb2222 "work of bbbb" (Claude Code) in ~/other
  src/a.ts: aaaa1111 lines 7-9, bbbb2222 deleted
What to do: let one commit first and the other merge that, or ask one to wait: \`shim team send bbbb2222 <text>\`.
`,
    ),
  );
  expect(await home.json("team conflicts")).toMatchObject({
    isOn: true,
    conflicts: [
      {
        kind: "merge",
        path: "src/a.ts",
        chats: [
          { chat: one, lines: "7-9" },
          { chat: two, lines: null },
        ],
      },
    ],
  });
  home.alive.delete(1_002);
  expect(await home.json("team conflicts")).toEqual({ isOn: true, conflicts: [] });
});

it("the fleet of the live page has the open conflicts", async () => {
  const home = withConflict();
  fakeBundle(home);
  const page = await servePage(home);
  const { value } = await callAs(page, await signIn(page), { name: "page.fleet" });
  expect(value["conflicts"]).toMatchObject([{ path: "src/a.ts", chats: [{ chat: one }, { chat: two }] }]);
});

it("`shim team conflicts` names the other machine, and why its files are not compared", async () => {
  const home = withConflict();
  const other = "cccc3333-0000-4000-8000-000000000003";
  const sent = { bundle: "files_1", checkpoint: "cp_1", at: home.now - 60_000, sealedAt: 0, digest: "", bytes: 1 };
  const times = { startedAt: home.now, lastSeenAt: home.now };
  const names = { workspace: "team", device: "dev_2", id: other, machine: "laptop", projectName: "app" };
  const sealed = {
    replaces: 0,
    sealedAt: home.now,
    clockOffsetMs: 0,
    checkpoints: 1,
    checkpoint: null,
    unsaved: { count: 0, came: 0 },
    lastFailure: null,
    files: { sent, notSent: null },
  };
  const chat = { client: "codex", title: "write the lexer", origin: "startup" };
  const trees = { root: home.project, otherRoot: "laptop:/app", did: "changed", otherDid: "changed" } as const;
  const apart = { kind: "apart", session: one, other, path: "commit abc is not here", ...trees, at: home.now } as const;
  home.runtime.store.write((sql) => {
    devices.join(sql, "team", "dev_1", 0);
    sessionsElsewhere.put(sql, { ...names, ...chat, ...times, sealed, ...encode(emptyState) });
    teamConflicts.insert(sql, apart);
  });
  const { out } = await home.shim("team conflicts");
  expect(out).toMatch(
    /Not compared \(0 s ago\):\n {2}aaaa1111 "work of aaaa" .*\n {2}cccc3333 "write the lexer" \(Codex\) in laptop:\/app, as saved 60 s ago\n {2}commit abc is not here\nWhat to do: fetch that commit in /,
  );
  home.runtime.store.write((sql) => sessionsElsewhere.update(sql, { id: other }, { endedAt: home.now }));
  expect((await home.json("team conflicts"))["conflicts"]).toHaveLength(1);
});

it("two chats stand there once with all their files, and with those that each edits in a shared work tree", async () => {
  const home = withConflict();
  const both = { session: one, other: two, root: home.project, otherRoot: home.project } as const;
  const did = { did: "changed", otherDid: "changed" } as const;
  home.runtime.store.write((sql) => {
    teamConflicts.insert(sql, { kind: "file", ...both, path: "src/b.ts", ...did, at: home.now - 60_000 });
    teamConflicts.insert(sql, { kind: "file", ...both, path: "src/c.ts", ...did, at: home.now });
  });
  expect((await home.shim("team conflicts")).out).toContain(`(60 s ago):
  aaaa1111 "work of aaaa" (Claude Code) in ~/project
  bbbb2222 "work of bbbb" (Claude Code) in ~/project
  src/c.ts
  src/b.ts
What to do: let one finish and commit before the other goes on`);
  home.runtime.store.write((sql) => {
    teamConflicts.delete(sql, { kind: "file" });
    teamConflicts.insert(sql, { kind: "tree", ...both, path: home.project, ...did, at: home.now });
    const end = { kind: "tool_end", id: "t1", name: "Edit", input: "", action: "edited" } as const;
    journal.append(sql, one, home.now, "end:t1", { ...end, path: join(home.project, "src/d.ts") });
  });
  expect((await home.shim("team conflicts")).out).toContain(`Both write one work tree, without reservations (0 s ago):
  aaaa1111 "work of aaaa" (Claude Code) in ~/project: src/d.ts
  bbbb2222 "work of bbbb" (Claude Code) in ~/project: no file known
What to do: `);
});
