import Database from "better-sqlite3";
import { claimDriver } from "#src/store/driver.ts";
import type { Sql, SqlValue } from "#src/shared/sql.ts";
import { watchTables, type Fact, type Look } from "./facts.ts";

/** How a planted bug changes one statement. */
export interface Patch {
  readonly text?: string;
  readonly run?: (next: (...values: SqlValue[]) => number, values: SqlValue[]) => number;
  readonly all?: (next: (...values: SqlValue[]) => unknown[], values: SqlValue[]) => unknown[];
}
export type PatchFor = (query: string) => Patch | undefined;

interface Prepared {
  readonly run: (...values: SqlValue[]) => number;
  readonly all: (...values: SqlValue[]) => unknown[];
}

/** A database in memory whose writes are read along. Planted bugs sit between the engine and what is read. */
export class RecordingSql implements Sql {
  /** Of the present transaction, in their order. */
  readonly facts: Fact[] = [];
  /** Statements that may have written, ever. */
  writes = 0;
  /** The same without what only says when to look again. */
  progress = 0;
  /** Set when the settings or the epoch may have changed. */
  isMetaWritten = false;
  /** How things stand at a grant. */
  look: Look = () => ({ isHolderGone: false, living: [] });
  #db: Database.Database;
  readonly #prepared = new Map<string, Prepared>();
  readonly #patchFor: PatchFor;
  #depth = 0;
  readonly #control = new Map<string, Database.Statement>();

  constructor(patchFor: PatchFor) {
    claimDriver("better-sqlite3");
    this.#db = new Database(":memory:");
    this.#patchFor = patchFor;
  }

  all<Row>(query: string, ...values: SqlValue[]): Row[] {
    return this.#prepare(query).all(...values) as Row[];
  }

  run(query: string, ...values: SqlValue[]): number {
    return this.#prepare(query).run(...values);
  }

  /** Once the tables are there. */
  watch(): void {
    watchTables(this.#db, (fact) => this.facts.push(fact));
  }

  /** BEGIN, COMMIT, SAVEPOINT ...: not part of the engine's work. */
  control(statement: string): void {
    let prepared = this.#control.get(statement);
    if (!prepared) this.#control.set(statement, (prepared = this.#db.prepare(statement)));
    prepared.run();
  }

  /** For checks: passes by the planted bugs and is not counted. */
  peek<Row>(query: string, ...values: SqlValue[]): Row[] {
    let prepared = this.#control.get(query);
    if (!prepared) this.#control.set(query, (prepared = this.#db.prepare(query)));
    return prepared.all(...values) as Row[];
  }

  /** Since the last call. */
  takeFacts(): Fact[] {
    return this.facts.splice(0);
  }

  /** A part of an event; rolled back with its facts when it throws. */
  transaction<T>(work: () => T): T {
    const mark = this.facts.length;
    const name = `s${(this.#depth += 1)}`;
    this.control(`SAVEPOINT ${name}`);
    try {
      return work();
    } catch (error) {
      this.control(`ROLLBACK TO ${name}`);
      this.facts.length = mark;
      throw error;
    } finally {
      this.control(`RELEASE ${name}`);
      this.#depth -= 1;
    }
  }

  /** Leaves nothing of the work, but for what it answers. */
  undone<T>(work: () => T): T {
    const mark = this.facts.length;
    this.control("SAVEPOINT undone");
    try {
      return work();
    } finally {
      this.control("ROLLBACK TO undone");
      this.control("RELEASE undone");
      this.facts.length = mark;
    }
  }

  /** Work that makes no facts. */
  unread<T>(work: () => T): T {
    const mark = this.facts.length;
    try {
      return work();
    } finally {
      this.facts.length = mark;
    }
  }

  /** All that is stored, to go back to. */
  image(): Buffer {
    return this.#db.serialize();
  }

  /** As it was when the image was made. */
  restore(image: Buffer): void {
    this.#db.close();
    this.#db = new Database(image);
    this.#prepared.clear();
    this.#control.clear();
    this.isMetaWritten = true;
    this.watch();
  }

  close(): void {
    this.#db.close();
  }

  #prepare(query: string): Prepared {
    const known = this.#prepared.get(query);
    if (known) return known;
    // Generated statements quote their names.
    const text = query.replaceAll('"', "");
    const patch = this.#patchFor(text);
    const inner = this.#tapped(patch?.text ?? text);
    const { run, all } = inner;
    const prepared: Prepared = patch
      ? {
          run: patch.run ? (...values) => patch.run?.(run, values) ?? 0 : run,
          all: patch.all ? (...values) => patch.all?.(all, values) ?? [] : all,
        }
      : inner;
    this.#prepared.set(query, prepared);
    return prepared;
  }

  #tapped(query: string): Prepared {
    const statement = this.#db.prepare<SqlValue[]>(query);
    if (statement.readonly) {
      return { all: (...values) => statement.all(...values), run: (...values) => statement.run(...values).changes };
    }
    const isMeta = /\bmeta\b/.test(query);
    const isLook = /^UPDATE (chats|tasks) SET dueAt/.test(query);
    const wrote = (): void => {
      this.writes += 1;
      if (!isLook) this.progress += 1;
      if (isMeta) this.isMetaWritten = true;
    };
    return {
      all: (...values) => {
        wrote();
        return statement.all(...values);
      },
      run: (...values) => {
        wrote();
        const mark = this.facts.length;
        const { changes } = statement.run(...values);
        this.#complete(mark, query, values);
        return changes;
      },
    };
  }

  /** Adds how things stand at a grant, which a trigger cannot read, and makes one fact of what goes together. */
  #complete(mark: number, query: string, [first]: readonly SqlValue[]): void {
    const added = this.facts.splice(mark);
    const isChatLeaving = query.startsWith("DELETE FROM waiters WHERE chat");
    for (const [at, fact] of added.entries()) {
      const isLast = added[at + 1]?.kind !== fact.kind;
      if (fact.kind === "granted")
        this.facts.push({ ...fact, context: this.look(fact.lease.holder, fact.lease.incarnation) });
      else if (fact.kind === "unqueued" && isChatLeaving) {
        if (isLast) this.facts.push({ kind: "unqueued-all", chat: String(first) });
      } else if (fact.kind !== "compacted" || isLast) this.facts.push(fact);
    }
  }
}
