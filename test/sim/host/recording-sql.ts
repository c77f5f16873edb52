import Database from "better-sqlite3";
import type { Sql, SqlValue } from "#src/shared/sql.ts";
import { claimDriver } from "#src/store/driver.ts";
import { watchTables, type Fact, type GrantContext } from "./facts.ts";

interface Prepared {
  readonly run: (...values: SqlValue[]) => number;
  readonly all: (...values: SqlValue[]) => unknown[];
}

/** A database in memory that records its writes as facts. */
export class RecordingSql implements Sql {
  readonly facts: Fact[] = [];
  /** Statements that may have written, since the beginning. */
  writes = 0;
  /** The same without statements that only set when the next check is due. */
  progress = 0;
  /** The settings or the epoch may have changed. */
  isMetaWritten = false;
  contextOf: (holder: string, incarnation: number) => GrantContext = () => ({ isHolderGone: false, living: [] });
  #db: Database.Database;
  readonly #prepared = new Map<string, Prepared>();
  #depth = 0;
  readonly #control = new Map<string, Database.Statement>();

  constructor() {
    claimDriver("better-sqlite3");
    this.#db = new Database(":memory:");
  }

  all<Row>(query: string, ...values: SqlValue[]): Row[] {
    return this.#prepare(query).all(...values) as Row[];
  }

  run(query: string, ...values: SqlValue[]): number {
    return this.#prepare(query).run(...values);
  }

  watch(): void {
    watchTables(this.#db, (fact) => this.facts.push(fact));
  }

  /** BEGIN, COMMIT, SAVEPOINT and the like, which are not the engine's. */
  control(statement: string): void {
    this.#controlOf(statement).run();
  }

  /** A query of the oracle, which counts as no write. */
  peek<Row>(query: string, ...values: SqlValue[]): Row[] {
    return this.#controlOf(query).all(...values) as Row[];
  }

  #controlOf(text: string): Database.Statement {
    let prepared = this.#control.get(text);
    if (!prepared) this.#control.set(text, (prepared = this.#db.prepare(text)));
    return prepared;
  }

  takeFacts(): Fact[] {
    return this.facts.splice(0);
  }

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

  image(): Buffer {
    return this.#db.serialize();
  }

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
    const prepared = this.#recorded(query.replaceAll('"', ""));
    this.#prepared.set(query, prepared);
    return prepared;
  }

  #recorded(query: string): Prepared {
    const statement = this.#db.prepare<SqlValue[]>(query);
    if (statement.readonly) {
      return { all: (...values) => statement.all(...values), run: (...values) => statement.run(...values).changes };
    }
    const isMeta = /\bmeta\b/.test(query);
    const isCheckTime = /^UPDATE (chats|tasks) SET dueAt/.test(query);
    const wrote = (): void => {
      this.writes += 1;
      if (!isCheckTime) this.progress += 1;
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

  /** Adds the context of a grant, which a trigger cannot read, and joins facts of one deletion. */
  #complete(mark: number, query: string, [first]: readonly SqlValue[]): void {
    const added = this.facts.splice(mark);
    const isChatLeaving = query.startsWith("DELETE FROM waiters WHERE chat");
    for (const [at, fact] of added.entries()) {
      const isLast = added[at + 1]?.kind !== fact.kind;
      if (fact.kind === "granted") {
        const { holder, incarnation } = fact.lease;
        this.facts.push({ ...fact, context: this.contextOf(holder, incarnation) });
      } else if (fact.kind === "unqueued" && isChatLeaving) {
        if (isLast) this.facts.push({ kind: "unqueued-all", chat: String(first) });
      } else if (fact.kind !== "compacted" || isLast) this.facts.push(fact);
    }
  }
}
