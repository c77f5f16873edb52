/** The object that knows in which object a project is: a table of its own, whose time is counted. */
import { join } from "node:path";
import { createPrivateFile } from "../../src/platform/private-files.ts";
import { openBetterSqlite3 } from "../../src/store/driver-better-sqlite3.ts";
import { median } from "../tasks/sizes.ts";
import { connect, transaction, type Connection } from "../../src/store/driver.ts";

export class Directory {
  /** Ms of each. */
  readonly lookups: number[] = [];
  readonly #moves: number[] = [];
  readonly #sql: Connection;

  constructor(folder: string, placed: readonly number[]) {
    const path = join(folder, "directory.db");
    createPrivateFile(path);
    this.#sql = connect(openBetterSqlite3, path, 0);
    this.#sql.run("CREATE TABLE projects (project TEXT PRIMARY KEY, object INTEGER, moves INTEGER) WITHOUT ROWID");
    transaction(this.#sql, "BEGIN IMMEDIATE", () => {
      for (const [project, object] of placed.entries())
        this.#sql.run("INSERT INTO projects VALUES (?, ?, 0)", String(project), object);
    });
  }

  /** Far below a tick of the processor's count, so by the clock; the median, as other work of the machine may come between. */
  get busy(): number {
    return median(this.lookups) * this.lookups.length + this.#moves.reduce((sum, time) => sum + time, 0);
  }

  /** From the text of the question to the text of the answer. */
  find(project: number): number {
    const before = performance.now();
    const asked = JSON.parse(JSON.stringify({ project: String(project) })) as { readonly project: string };
    const query = "SELECT object, moves FROM projects WHERE project = ?";
    const [row] = this.#sql.all<{ object: number }>(query, asked.project);
    if (!row) throw new Error(`no object has the project ${project}`);
    JSON.stringify(row);
    this.lookups.push(performance.now() - before);
    return row.object;
  }

  move(project: number, object: number): void {
    const before = performance.now();
    const query = "UPDATE projects SET object = ?, moves = moves + 1 WHERE project = ?";
    transaction(this.#sql, "BEGIN IMMEDIATE", () => this.#sql.run(query, object, String(project)));
    this.#moves.push(performance.now() - before);
  }

  close(): void {
    this.#sql.close();
  }
}
