import { readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import * as due from "#src/coordination/due.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import * as meta from "#src/coordination/kernel/meta.ts";
import { migrations } from "#src/coordination/schema.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import type { Driver } from "#src/store/driver.ts";
import { Store } from "#src/store/store.ts";
import type { Result } from "#src/shared/result.ts";
import type { SqlValue } from "#src/shared/sql.ts";
import { m1, type RuleHost } from "./engine-host.ts";
import { FakeProcesses } from "#harness/machine/temp-runtime.ts";
import { writeMigratedFile } from "#harness/store/migrated-file.ts";
import { tempHome, T0 } from "#harness/store/temp-store.ts";

/**
 * The coordinator of one machine, on a file of its own at the first epoch. The chats of the rules run in processes that cannot be seen from
 * here, so they live by what they say. Each machine that asks is another process on the same file, as which everybody is an admin.
 */
export class EmbeddedHost implements RuleHost {
  readonly #store: Store;
  readonly #processes = new FakeProcesses();
  readonly #machines = new Map<string, LocalCoordinator>();
  readonly #incarnations = new Map<string, number>();
  /** Nothing that is over waits for an alarm. */
  readonly sweepsFirst = true;
  #now = T0;

  constructor(driver: Driver) {
    const path = join(tempHome().home, "coordination", "coordination.db");
    writeMigratedFile(path, driver, migrations);
    this.#store = new Store({ path, driver, now: () => this.#now, migrations });
    onTestFinished(() => this.#store.close());
    this.#store.write(() => undefined);
    // Rules ask nothing of the disk.
    this.#store.connection().script("PRAGMA synchronous = OFF");
  }

  now(): number {
    return this.#now;
  }

  /** Of its files, as they stand on the disk. */
  bytes(): string {
    const { path } = this.#store;
    return [path, `${path}-wal`].map((file) => readFileSync(file, "latin1")).join("");
  }

  wait(ms: number): void {
    this.#now += ms;
  }

  run(statement: string, ...values: SqlValue[]): void {
    this.#store.write((sql) => sql.run(statement, ...values));
  }

  rows<Row>(query: string, ...values: SqlValue[]): Row[] {
    return this.#store.read((sql) => sql.all<Row>(query, ...values), []);
  }

  call<Name extends EngineOperation>(
    name: Name,
    input: InputOf<Name>,
    { machine }: Actor = m1,
  ): Promise<Result<OutputOf<Name>, Refusal>> {
    const at = this.#machines.get(machine) ?? this.#opened(machine);
    this.#machines.set(machine, at);
    const result = at.call(name, input);
    if (name === "chats.register" && result.ok) {
      const { chat, incarnation } = result.value as OutputOf<"chats.register">;
      this.#incarnations.set(chat, incarnation);
    }
    return Promise.resolve(result);
  }

  /** Another process of the machine, which has not looked yet. */
  #opened(machine: string): LocalCoordinator {
    return new LocalCoordinator({ store: this.#store, processes: this.#processes, machine, now: () => this.#now });
  }

  /** There is no alarm: whoever comes does what is due. */
  async ring(): Promise<number | null> {
    for (let times = 0; times < 10_000; times++) {
      const next = this.#nextDue();
      if (next === null || next > this.#now) return next;
      this.#opened("m1").call("settings.get", {});
    }
    throw new Error("what is due stays so, whoever comes");
  }

  #nextDue(): number | null {
    return this.#store.read((sql) => {
      const none = { presence: { lastSeen: () => null }, tell: () => undefined };
      return due.nextDue({ sql, now: this.#now, ...meta.readFacts(sql), ...none });
    }, null);
  }

  /** Who is there says so. */
  connect(chat: string): Promise<void> {
    return this.ping(chat);
  }

  async ping(chat: string): Promise<void> {
    await this.call("chats.heartbeat", { self: { chat, incarnation: this.#incarnations.get(chat) ?? 0 } });
  }

  disconnect(): Promise<void> {
    return Promise.reject(new Error("a file has no connections that could be closed or lost"));
  }

  loseConnections(): Promise<void> {
    return this.disconnect();
  }
}
