import { evictDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, onTestFinished, vi } from "vitest";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import { migrations } from "#src/coordination/schema.ts";
import { bookmarkAt } from "#src/durable/restore-marks.ts";
import type { Migration } from "#src/shared/migrate.ts";
import { app } from "#src/worker/app.ts";
import { bearer, bindings, httpOf, it, origin, TestWorkspace, wait } from "./support.ts";

const known = migrations.length;

/** For the rest of the test the program is a newer one. */
function knowMore(migration: Omit<Migration, "id" | "name">): void {
  (migrations as Migration[]).push({ id: known + 1, name: "later", ...migration });
  onTestFinished(() => void (migrations as Migration[]).pop());
}

/** Another program was here. */
const foreign = "INSERT INTO migrations (id, name, minReader, appliedAt) VALUES (?, 'later', ?, 0)";

async function fill(workspace: TestWorkspace): Promise<void> {
  const self = await workspace.register("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 3_600_000 });
  await workspace.ask("state.set", { key: "a", value: { b: [1] }, requestId: "once" });
  await workspace.ask("messages.send", { self, target: { to: "all" }, body: "x" });
}

it("a schema that needs a newer program is refused, and nothing is changed", async ({ workspace }) => {
  await fill(workspace);
  await workspace.rows(foreign, known + 1, known + 1);
  const [before, alarm] = [await workspace.tables(), await workspace.alarmAt()];
  const log = vi.spyOn(console, "error").mockReset().mockReturnValue();
  await evictDurableObject(workspace.stub);
  const answer = await workspace.call("state.set", { key: "a", value: 2 });
  expect([answer.status, answer.error?.code]).toEqual([500, "internal"]);
  expect(answer.error?.message).not.toContain("schema");
  expect(String(log.mock.calls[0])).toContain("newer program");
  // The newer program finds all as it was.
  knowMore({ statements: [] });
  expect([await workspace.tables(), await workspace.alarmAt()]).toEqual([before, alarm]);
});

it("a newer program takes over an object with its contents and connections", async ({ workspace }) => {
  await fill(workspace);
  const { connection, self } = await workspace.join("c2");
  await connection.ask("state.watch", { watch: "w", prefix: "b" });
  const { changes: _, migrations: __, ...before } = await workspace.tables();
  await evictDurableObject(workspace.stub);
  knowMore({ statements: ["CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT"], minReader: known + 1 });
  expect((await workspace.ask("health", {})).schemaVersion).toBe(known + 1);
  await workspace.ask("state.set", { key: "b", value: 1 });
  expect(await connection.next()).toMatchObject({ params: { watch: "w" } });
  await connection.ask("chats.heartbeat", { self });
  await workspace.ask("state.delete", { key: "b" });
  expect(await workspace.tables()).toMatchObject({ ...before, later: [] });
});

/** Puts the storage back to what it had when this was called, as Cloudflare does; workerd alone cannot. */
async function aPast(workspace: TestWorkspace, fails = false, given: Tables | null = null): Promise<void> {
  const saved = given ?? (await workspace.tables());
  await workspace.inside((state) => {
    const past: Pick<DurableObjectStorage, "getBookmarkForTime" | "onNextSessionRestoreBookmark"> =
      Object.getPrototypeOf(state.storage);
    vi.spyOn(past, "getBookmarkForTime").mockResolvedValue("then");
    const restore = vi.spyOn(past, "onNextSessionRestoreBookmark");
    restore.mockImplementation(async function backTo(this: DurableObjectStorage) {
      if (fails) throw new Error("the disk is gone");
      putBack(this.sql, saved);
      await this.sync();
      return "now";
    });
  });
}

type Tables = Awaited<ReturnType<TestWorkspace["tables"]>>;

function putBack(sql: SqlStorage, saved: Tables): void {
  for (const [name, rows] of Object.entries(saved)) {
    sql.exec(`DELETE FROM ${name}`);
    for (const row of rows) {
      const columns = Object.keys(row);
      const marks = columns.map(() => "?").join(", ");
      sql.exec(`INSERT INTO ${name} (${columns.join(", ")}) VALUES (${marks})`, ...Object.values(row));
    }
  }
}

const to = (at: number): InputOf<"workspace.restore"> => ({ to: at, reason: "a wrong script", isDryRun: false });

it("after a restore no token of the lost time counts, and what it revoked stays revoked", async ({ workspace }) => {
  const self = await workspace.register("c1");
  await workspace.ask("state.set", { key: "kept", value: 1 });
  const revoked = await workspace.tokenOf("work");
  const before = await workspace.ask("health", {});
  await aPast(workspace);
  const then = Date.now();
  wait(10_000);
  await workspace.ask("state.set", { key: "lost", value: 2 });
  const granted = await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", ttlMs: 3_600_000 });
  await workspace.ask("tokens.revoke", { id: revoked.id });
  const dry = await workspace.ask("workspace.restore", { ...to(then), isDryRun: true });
  expect(dry).toMatchObject({ epoch: null, lost: [{ count: 1 }, { kind: "token.revoked", count: 1 }] });
  expect(await workspace.ask("state.get", { key: "lost" })).toMatchObject({ entry: { value: 2 } });
  const { epoch } = await workspace.ask("workspace.restore", to(then));
  expect(epoch).toBeGreaterThan(before.epoch);
  await workspace.inside((state) => state.abort("a deployment")).catch(() => undefined);
  expect(await workspace.ask("health", {})).toMatchObject({ epoch });
  expect(await workspace.ask("state.get", { key: "kept" })).toMatchObject({ entry: { value: 1 } });
  expect(await workspace.ask("state.get", { key: "lost" })).toMatchObject({ entry: null });
  expect(await workspace.refusal("health", {}, revoked.token)).toBe("unauthenticated");
  const token = granted.state === "granted" ? granted.lease.token : 0;
  const fenced = { key: "kept", value: 3, guard: { resource: "r", token } };
  expect(await workspace.refusal("state.set", fenced)).toBe("stale_token");
  const { entries } = await workspace.ask("audit.list", { limit: 10 });
  expect(entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["epoch.raised", "workspace.restored"]));
});

/** Steps of a drawn history, by weight. */
const steps = ["create", "create", "rotate", "renew", "renew", "revoke", "give", "end", "save", "restore"] as const;
const secretOf = (nth: number): string => `signing-secret-number-${nth}-of-the-workspace`;

it("whatever the order of rotations, renewals, revocations, ends of boxes and restores, who may open it opens it, and nobody else", async ({
  workspace,
}) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...steps), fc.nat()), { minLength: 8, maxLength: 14 }),
      (drawn) => new AccessHistory(workspace).run(drawn),
    ),
    { numRuns: 12, seed: 77, endOnFailure: true },
  );
});

/** A workspace whose tokens, boxes and secrets a model follows through its restores. */
class AccessHistory {
  readonly #workspace: TestWorkspace;
  readonly #tokens: { id: string; text: string; secret: number; isRevoked: boolean }[] = [];
  readonly #boxes: { id: string; token: string; isOver: boolean }[] = [];
  #secret = 1;
  /** Two while a rotation is under way. */
  #accepted = [1];
  #past: { at: number; tables: Tables } | null = null;

  constructor({ name }: TestWorkspace) {
    this.#workspace = TestWorkspace.known(`${name}-${AccessHistory.#made++}`);
  }

  static #made = 0;

  async run(drawn: readonly (readonly [(typeof steps)[number], number])[]): Promise<void> {
    const { name } = this.#workspace;
    const body = JSON.stringify({ workspace: name });
    const made = await this.#send("/v1/workspaces", { method: "POST", body }, bindings.SHIM_ADMIN_SECRET);
    const { token, id } = await made.json<{ token: string; id: string }>();
    this.#tokens.push({ id, text: token, secret: 1, isRevoked: false });
    await this.save();
    for (const [step, nth] of drawn) {
      wait(60_000);
      await this[step](nth);
      await this.#check();
    }
    await this.restore();
    await this.#check();
  }

  async create(nth: number): Promise<void> {
    const input = { machine: "m1", scope: nth % 2 === 0 ? "admin" : "work" } as const;
    const { id, token } = await this.#ask("tokens.create", input);
    this.#tokens.push({ id, text: token, secret: this.#secret, isRevoked: false });
  }

  /** Begins a rotation, or ends it by the guide: once all tokens are renewed. */
  async rotate(): Promise<void> {
    if (this.#accepted.length === 2) {
      for (const nth of this.#tokens.keys()) await this.renew(nth);
      this.#accepted = [this.#secret];
    } else this.#accepted = [(this.#secret += 1), ...this.#accepted];
  }

  async renew(nth: number): Promise<void> {
    const token = this.#tokens[nth % this.#tokens.length];
    if (token === undefined || token.isRevoked) return;
    const { token: text } = await this.#ask("tokens.renew", {}, token.text);
    Object.assign(token, { text, secret: this.#secret });
  }

  async revoke(nth: number): Promise<void> {
    const token = this.#tokens[nth % this.#tokens.length];
    // The first one is of the admin who looks on.
    if (token === undefined || token === this.#tokens[0]) return;
    await this.#ask("tokens.revoke", { id: token.id });
    token.isRevoked = true;
    for (const box of this.#boxes) box.isOver ||= box.token === token.id;
  }

  async give(nth: number): Promise<void> {
    const token = this.#tokens[nth % this.#tokens.length];
    if (token === undefined || token.isRevoked) return;
    const facts = { kind: "phone", claimHash: "0".repeat(64), forMs: 3_600_000 } as const;
    const { id } = await this.#ask("boxes.create", facts, token.text);
    this.#boxes.push({ id, token: token.id, isOver: false });
  }

  async end(nth: number): Promise<void> {
    const box = this.#boxes[nth % this.#boxes.length];
    if (box === undefined) return;
    await this.#ask("boxes.end", { id: box.id });
    box.isOver = true;
  }

  async save(): Promise<void> {
    this.#past = { at: Date.now(), tables: await this.#workspace.tables() };
  }

  async restore(): Promise<void> {
    if (this.#past === null) return;
    wait(60_000);
    const { at, tables } = this.#past;
    await aPast(this.#workspace, false, tables);
    expect((await this.#ask("workspace.restore", to(at))).epoch).not.toBeNull();
  }

  async #check(): Promise<void> {
    for (const { text, isRevoked } of this.#tokens)
      expect((await this.#call("settings.get", {}, text)).status).toBe(isRevoked ? 401 : 200);
    const listed = (await this.#ask("boxes.list", {})).boxes.map(({ id }) => id);
    expect(listed.toSorted()).toEqual(this.#boxes.flatMap(({ id, isOver }) => (isOver ? [] : [id])).toSorted());
  }

  async #ask<Name extends OperationName>(name: Name, input: InputOf<Name>, token?: string): Promise<OutputOf<Name>> {
    const answer = await this.#call(name, input, token);
    expect([name, answer.status]).toEqual([name, 200]);
    return answer.json();
  }

  #call(name: OperationName, input: object, token = this.#tokens[0]?.text ?? ""): Promise<Response> {
    const { path, init } = httpOf(this.#workspace.name, name, input);
    return this.#send(path, init, token);
  }

  async #send(path: string, init: RequestInit, token: string): Promise<Response> {
    const [present = 1, previous] = this.#accepted;
    const env = {
      ...bindings,
      SHIM_SIGNING_SECRET: secretOf(present),
      ...(previous === undefined ? {} : { SHIM_PREVIOUS_SIGNING_SECRET: secretOf(previous) }),
    };
    return app.request(`${origin}${path}`, { ...init, headers: bearer(token) }, env);
  }
}

it("where the storage was not put back nothing changes, and the answer says so", async ({ workspace }) => {
  await aPast(workspace, true);
  const { epoch } = await workspace.ask("health", {});
  wait(60_000);
  await workspace.ask("state.set", { key: "new", value: 2 });
  expect(await workspace.refusal("workspace.restore", to(Date.now() - 30_000))).toBe("restore_unavailable");
  await workspace.inside((state) => state.abort("a deployment")).catch(() => undefined);
  expect(await workspace.ask("health", {})).toMatchObject({ epoch });
  expect(await workspace.ask("state.get", { key: "new" })).toMatchObject({ entry: { value: 2 } });
  expect((await workspace.ask("audit.list", { kind: "workspace.not_restored" })).entries).toHaveLength(1);
});

it("a restore is refused without a past, to a time that is not there, and to a work token", async ({ workspace }) => {
  wait(60_000);
  const { token } = await workspace.tokenOf("work");
  const now = Date.now();
  for (const [at, code, by] of [
    [now - 30_000, "restore_unavailable"],
    [now + 30_000, "bad_input"],
    [now - 31 * 86_400_000, "bad_input"],
    // The workspace was made later than that.
    [now - 3_600_000, "bad_input"],
    [now - 30_000, "forbidden", token],
  ] as const)
    expect([at, await workspace.refusal("workspace.restore", to(at), by)]).toEqual([at, code]);
  expect(await bindings.RESTORE_MARKS?.getByName(workspace.name).read()).toBeNull();
  // Of 30 days Cloudflare keeps what there was.
  const past = { getBookmarkForTime: () => Promise.resolve("then") };
  const days = 30 * 86_400_000;
  expect(await bookmarkAt(past, now - days, now)).toEqual({ ok: true, value: "then" });
  expect(await bookmarkAt(past, now - days - 1, now)).toMatchObject({ error: { code: "bad_input" } });
});

it("a deleted workspace leaves no row, alarm, token or connection, and its name is free", async ({ workspace }) => {
  const { connection } = await workspace.join("c1");
  const { token } = await workspace.tokenOf("work");
  expect(await workspace.refusal("workspace.delete", { name: "another" })).toBe("bad_input");
  expect(await workspace.refusal("workspace.delete", { name: workspace.name }, token)).toBe("forbidden");
  expect(await workspace.ask("health", {})).toMatchObject({ chats: 1 });
  expect(await workspace.ask("workspace.delete", { name: workspace.name })).toEqual({ isDeleted: true });
  expect(await connection.closed).toMatchObject({ code: 4001 });
  expect([await workspace.tables(), await workspace.alarmAt()]).toEqual([{}, null]);
  expect(await workspace.refusal("health", {})).toBe("unknown_workspace");
  wait(60_000);
  const again = await TestWorkspace.create(workspace.name);
  expect(await again.ask("tasks.list", {})).toMatchObject({ tasks: [] });
  expect(await workspace.refusal("health", {})).toBe("unauthenticated");
});

it("an import that was begun can be deleted, with what it has brought", async ({ workspace }) => {
  await workspace.ask("workspace.import", { id: "one", part: 0 });
  const page = { table: "state", columns: ["key"], rows: [[1]] };
  expect(await workspace.refusal("workspace.import", { id: "one", part: 1, page })).toBe("bad_input");
  expect(await workspace.refusal("state.set", { key: "k", value: 1 })).toBe("frozen");
  expect(await workspace.ask("workspace.delete", { name: workspace.name })).toEqual({ isDeleted: true });
  expect([await workspace.tables(), await workspace.alarmAt()]).toEqual([{}, null]);
});
