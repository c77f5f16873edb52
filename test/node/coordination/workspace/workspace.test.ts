import { expect, test } from "vitest";
import { Settings } from "#src/contract/workspaces.ts";
import { EngineHost } from "#src/coordination/engine.ts";
import * as inboxes from "#src/coordination/messages/inboxes.ts";
import { migrations } from "#src/coordination/schema.ts";
import * as restore from "#src/coordination/workspace/restore.ts";
import * as tokens from "#src/coordination/workspace/tokens.ts";
import { migrate } from "#src/shared/migrate.ts";
import { ok } from "#src/shared/result.ts";
import { inSavepoint } from "#src/shared/sql.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { ask, Peer } from "#harness/coordinator/peers.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

const it = test.extend("host", () => new LocalHost(openBetterSqlite3));

const a = { id: "tok_a", machine: "m1", scope: "admin", hash: "a", expiresAt: null } as const;
const b = { id: "tok_b", machine: "m2", scope: "work", hash: "b", expiresAt: 0 } as const;
const fields = { machine: "m1", scope: "admin", isRevoked: false };

it("a token is made once, is valid under both signatures until it expires or is revoked, and is listed", ({ host }) => {
  const expiring = { ...b, expiresAt: host.now() + 100 };
  const made = (token: tokens.NewToken, ttlMs?: number) =>
    host.commit((tx) => tokens.addOnce(tx, "m1", token, { requestId: token.machine, ttlMs }));
  expect(made(a)).toEqual(ok({ id: "tok_a", expiresAt: null }));
  expect(made(expiring, 100)).toEqual(ok({ id: "tok_b", expiresAt: expiring.expiresAt }));
  expect(made({ ...a, id: "tok_c" })).toEqual(ok({ id: "tok_a", expiresAt: null }));
  expect(made(a, 1)).toMatchObject({ error: { code: "key_reused" } });
  host.wait(60);
  host.commit((tx) => tokens.renew(tx, a, "a2"));
  host.wait(40);
  const { sql } = host;
  const valid = (id: string, hash: string) => tokens.toBearer(tokens.find({ sql }, id), hash, host.now())?.machine;
  expect([valid("tok_a", "a"), valid("tok_a", "a2"), valid("tok_a", "b")]).toEqual(["m1", "m1", undefined]);
  expect([valid("tok_b", "b"), valid("tok_c", "a")]).toEqual([undefined, undefined]);
  const ids = ["tok_a", "tok_b", "tok_c"];
  expect([...tokens.findValid({ sql, now: host.now() - 1 }, ids)]).toEqual([
    ["tok_a", null],
    ["tok_b", expiring.expiresAt],
  ]);
  expect([...tokens.findValid({ sql, now: host.now() }, ids).keys()]).toEqual(["tok_a"]);
  const revoke = (id: string) => host.commit((tx) => tokens.revoke(tx, admin, id));
  const message = "there is no token tok_c";
  expect(revoke("tok_c")).toEqual({ ok: false, error: { code: "unknown_token", message } });
  expect([revoke("tok_b"), revoke("tok_b")]).toEqual([ok({ isRevoked: true }), ok({ isRevoked: true })]);
  expect(host.commit((tx) => ok(tokens.list(tx))).value.tokens).toEqual([
    { ...fields, id: "tok_a", ageMs: 100, signedAgoMs: 40, expiresInMs: null },
    { id: "tok_b", machine: "m2", scope: "work", ageMs: 100, signedAgoMs: 100, expiresInMs: 0, isRevoked: true },
  ]);
  const audited = "SELECT subject FROM audit WHERE kind = 'token.revoked'";
  expect(sql.all(audited)).toEqual([{ subject: "tok_b" }]);
});

it("a workspace has at most 1,000 tokens that are not revoked", ({ host }) => {
  const add = (at: number) => host.commit((tx) => tokens.add(tx, "m1", { ...a, id: `tok_${at}` }));
  for (let at = 0; at < 1_000; at++) add(at);
  const message = "a workspace has at most 1000 tokens; revoke some";
  expect(add(1_000)).toEqual({ ok: false, error: { code: "quota_exceeded", message } });
  host.commit((tx) => tokens.revoke(tx, admin, "tok_7"));
  expect(add(1_000)).toEqual(ok({ id: "tok_1000" }));
});

it("a restore raises the epoch and keeps who may open it, and where its mark is still there it did not happen", ({
  host,
}) => {
  const { sql } = host;
  for (const token of [a, b]) host.commit((tx) => tokens.add(tx, "m1", token));
  const to = host.now();
  host.wait(1);
  const tooEarly = { code: "bad_input", message: "the workspace was made later than that" };
  expect(restore.plan({ sql }, to - 1, "m1")).toEqual({ ok: false, error: tooEarly });
  host.commit((tx) => tokens.revoke(tx, admin, "tok_b"));
  const plan = { by: "m1", lost: [{ kind: "token.revoked", count: 1 }] };
  expect(restore.plan({ sql }, to, "m1")).toEqual(ok(plan));
  const kept = restore.keep(sql);
  const settled = (id: string) =>
    host.commit((tx) => {
      const mark = { id, to, reason: "lost", quietMs: 0, by: "m1" };
      return ok(restore.isUnsettled(tx, mark) && restore.settle(tx, mark, kept));
    }) && host.commit((tx) => ok(restore.epochAfter(tx, id))).value;
  restore.announce({ sql }, "one");
  expect(settled("one")).toBeNull();
  sql.run("DELETE FROM tokens WHERE id = 'tok_b'");
  const epoch = settled("two");
  expect([epoch, settled("two")]).toEqual([expect.any(Number), epoch]);
  expect(sql.all("SELECT id FROM tokens WHERE revokedAt IS NOT NULL")).toEqual([{ id: "tok_b" }]);
  const kinds = sql.all<{ kind: string }>("SELECT kind FROM audit ORDER BY seq").map(({ kind }) => kind);
  expect(kinds.slice(3)).toEqual(["workspace.not_restored", "workspace.restored", "epoch.raised"]);
});

it("requests that ran together are repeated alone where one is refused or fails", ({ host }) => {
  const { sql } = host;
  const options = { store: { sql, transaction: <T>(work: () => T) => inSavepoint(sql, work) }, now: () => host.now() };
  const engine = new EngineHost({ ...options, presence: { lastSeen: () => null } });
  const add = (id: string) => engine.run((tx) => tokens.add(tx, "m1", { ...a, id }));
  const count = () => sql.all("SELECT id FROM tokens").length;
  let rounds = 0;
  const mixed = () => [++rounds, add("tok_1"), engine.run((tx) => tokens.revoke(tx, admin, "tok_9")), add("tok_2")];
  expect(engine.together(mixed)).toMatchObject([2, { ok: true }, { error: { code: "unknown_token" } }, { ok: true }]);
  expect(engine.together(() => [++rounds, add("tok_3")])).toMatchObject([3, { ok: true }]);
  expect(() => engine.together(() => [++rounds, add("tok_4"), add("tok_1")])).toThrow("UNIQUE");
  expect([rounds, count()]).toEqual([5, 4]);
});

it("the receivers of a topic are the chats with a pattern that matches it", async ({ host }) => {
  const patterns = [
    "**",
    "build.**",
    "build.done.**",
    "*",
    "build",
    "*.done",
    "build.*",
    "build.done",
    "build.*.x",
    "x.done",
  ];
  for (const [at, pattern] of patterns.entries()) await (await Peer.join(host, `c${at}`)).subscribe(pattern);
  for (const topic of ["build", "build.done", "build.done.x", "other"]) {
    const matching = patterns.flatMap((pattern, at) => (inboxes.matches(pattern, topic) ? [`c${at}`] : []));
    expect([topic, inboxes.listReceivers(host.sql, topic).toSorted()]).toEqual([topic, matching]);
  }
});

it("a store of a build with schedules opens without their setting", async ({ host }) => {
  host.sql.run("DELETE FROM migrations WHERE id > 1");
  host.sql.run("INSERT INTO meta (key, value) VALUES ('settings', ?)", JSON.stringify({ maxSchedules: 7, maxKeys: 9 }));
  migrate(host.sql, host.now(), migrations.slice(0, 2));
  const { settings } = await ask(host, "settings.get", {});
  expect([Settings.safeParse(settings).success, settings.maxKeys]).toEqual([true, 9]);
});
