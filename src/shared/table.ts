import type { Sql, SqlValue } from "./sql.ts";

/**
 * Declared tables: one list of columns gives the row's type, the DDL of a new table and the texts
 * of simple statements. Columns are named like fields. What a statement says beyond that is SQL.
 */

interface Codec {
  readonly encode: (value: unknown) => SqlValue;
  readonly decode: (stored: unknown) => unknown;
}

const flagCodec: Codec = { encode: (value) => (value === true ? 1 : 0), decode: (stored) => stored === 1 };
const jsonCodec: Codec = { encode: (value) => JSON.stringify(value), decode: (stored) => JSON.parse(String(stored)) };

interface ColumnParts {
  readonly type: string;
  readonly codec?: Codec;
  readonly isNullable?: boolean;
  readonly isKey?: boolean;
  /** The stored form of the default. */
  readonly default?: SqlValue;
  readonly suffix?: string;
}

/** `IsOptional`: a new row may leave it out. */
export class Column<Value, IsOptional extends boolean = false> {
  /** Types only: they have no value. */
  declare readonly row: Value;
  declare readonly isOptional: IsOptional;
  readonly parts: ColumnParts;

  constructor(parts: ColumnParts) {
    this.parts = parts;
  }

  /** Several columns of a table make one key, in the order of their declaration. */
  primary(): Column<Value, IsOptional> {
    return new Column({ ...this.parts, isKey: true });
  }

  nullable(): Column<Value | null, true> {
    return new Column({ ...this.parts, isNullable: true });
  }

  default(value: Value): Column<Value, true> {
    const stored = encodeWith(this.parts.codec, value);
    const literal = typeof stored === "string" ? `'${stored.replaceAll("'", "''")}'` : String(stored);
    return new Column({ ...this.parts, default: stored, suffix: ` DEFAULT ${literal}` });
  }
}

export const text = <Value extends string = string>(): Column<Value> => new Column({ type: "TEXT" });
export const integer = (): Column<number> => new Column({ type: "INTEGER" });
export const real = (): Column<number> => new Column({ type: "REAL" });
export const blob = (): Column<Uint8Array> => new Column({ type: "BLOB" });
/** A boolean, stored as 0 or 1. */
export const flag = (): Column<boolean> => new Column({ type: "INTEGER", codec: flagCodec });
/** Only the program writes this column, so `Value` is its own promise. */
export const json = <Value>(): Column<Value> => new Column({ type: "TEXT", codec: jsonCodec });
/** The number of a row. @param isReused whether the number of the deleted newest row may return */
export const serial = ({ isReused = true } = {}): Column<number, true> =>
  new Column({ type: "INTEGER", isKey: true, ...(isReused ? {} : { suffix: " AUTOINCREMENT" }) });

type Columns = Readonly<Record<string, Column<unknown, boolean>>>;
type OptionalNames<C extends Columns> = {
  [Name in keyof C]: C[Name]["isOptional"] extends true ? Name : never;
}[keyof C];
type Row<C extends Columns> = { readonly [Name in keyof C]: C[Name]["row"] };
/** Undefined counts as absent: the default, or null. */
type NewRow<C extends Columns> = { readonly [Name in Exclude<keyof C, OptionalNames<C>>]: C[Name]["row"] } & {
  readonly [Name in OptionalNames<C>]?: C[Name]["row"] | undefined;
};
/** Equal values, all of which must hold; undefined counts as absent. */
type Where<C extends Columns> = { readonly [Name in keyof C]?: C[Name]["row"] | undefined };

export type RowOf<T extends { readonly row: unknown }> = T["row"];
export type NewRowOf<T extends { readonly newRow: unknown }> = T["newRow"];

/** Reads some columns of a table. A text is made once per shape; a driver compiles it once. */
export class Selection<C extends Columns, Name extends keyof C & string = keyof C & string> {
  declare readonly row: Pick<Row<C>, Name>;
  readonly name: string;
  readonly declared: C;
  readonly names: readonly Name[];
  readonly #decoders: readonly (readonly [name: Name, decode: Codec["decode"]])[];
  readonly #texts = new Map<string, string>();
  readonly #conditions = new Map<string, string>();

  constructor(name: string, declared: C, names: readonly Name[]) {
    this.name = name;
    this.declared = declared;
    this.names = names;
    this.#decoders = names.flatMap((one) => {
      const codec = declared[one]?.parts.codec;
      return codec ? [[one, codec.decode] as const] : [];
    });
  }

  /** For statements that are written out. @param alias of the table in a join */
  columns(alias?: string): string {
    return quoted(this.names)
      .map((one) => (alias === undefined ? one : `${alias}.${one}`))
      .join(", ");
  }

  /** @param rest what follows the table's name: WHERE, ORDER BY, LIMIT */
  select(sql: Sql, rest: string, ...values: readonly SqlValue[]): Pick<Row<C>, Name>[] {
    let query = this.#texts.get(rest);
    if (query === undefined)
      this.#texts.set(rest, (query = `SELECT ${quoted(this.names).join(", ")} FROM ${this.name} ${rest}`));
    return this.decode(sql.all<Pick<Row<C>, Name>>(query, ...values));
  }

  /** @returns null without such a row */
  find(sql: Sql, where: Where<C>): Pick<Row<C>, Name> | null {
    const values: SqlValue[] = [];
    return this.select(sql, this.where(where, values), ...values)[0] ?? null;
  }

  /** Rows of any statement that have these columns, such as of a join. Changes the rows. */
  decode<Stored extends Pick<Row<C>, Name>>(rows: Stored[]): Stored[] {
    if (this.#decoders.length === 0) return rows;
    for (const row of rows as Record<string, unknown>[])
      for (const [name, decode] of this.#decoders) if (row[name] !== null) row[name] = decode(row[name]);
    return rows;
  }

  /** @param values receives what is to be bound */
  protected where(where: Where<C>, values: SqlValue[]): string {
    let shape = "";
    for (const name in where) {
      const value = where[name];
      if (value === undefined) continue;
      if (value === null) shape += `${name}-`;
      else {
        shape += `${name} `;
        values.push(encodeWith(this.declared[name]?.parts.codec, value));
      }
    }
    let condition = this.#conditions.get(shape);
    if (condition === undefined) {
      const names = Object.keys(where).filter((name) => where[name] !== undefined);
      const parts = names.map((name) => (where[name] === null ? `"${name}" IS NULL` : `"${name}" = ?`));
      this.#conditions.set(shape, (condition = `WHERE ${parts.join(" AND ")}`));
    }
    return condition;
  }
}

export class Table<C extends Columns> extends Selection<C> {
  declare readonly newRow: NewRow<C>;
  /** Names of the key's columns, in their order. */
  readonly key: readonly string[];
  /** Texts by what follows the values, then by the columns that are given. */
  readonly #inserts = new Map<string, Map<number, string>>();
  readonly #updates = new Map<string, string>();
  readonly #columns: readonly (readonly [name: string, codec: Codec | undefined])[];
  readonly #all: string;
  readonly #replacement: string;

  constructor(name: string, declared: C) {
    super(name, declared, Object.keys(declared));
    this.key = this.names.filter((one) => declared[one]?.parts.isKey);
    this.#columns = this.names.map((one) => [one, declared[one]?.parts.codec]);
    this.#all = quoted(this.names).join(", ");
    const others = this.names.filter((one) => !this.key.includes(one));
    this.#replacement = `ON CONFLICT (${quoted(this.key).join(", ")}) DO UPDATE SET ${excluded(others)}`;
  }

  /** Statement that creates the table; a key of a text or of several columns is the row's place. */
  get ddl(): string {
    const [first] = this.key;
    const isNumbered = this.key.length === 1 && this.declared[first ?? ""]?.parts.type === "INTEGER";
    const lines = Object.entries(this.declared).map(([name, { parts }]) => {
      const { type, isNullable, suffix = "" } = parts;
      const key = this.key.length === 1 && name === first ? " PRIMARY KEY" : "";
      return `"${name}" ${type}${key || (isNullable ? "" : " NOT NULL")}${suffix}`;
    });
    if (this.key.length > 1) lines.push(`PRIMARY KEY (${quoted(this.key).join(", ")})`);
    return `CREATE TABLE ${this.name} (\n  ${lines.join(",\n  ")}\n) STRICT${isNumbered ? "" : ", WITHOUT ROWID"}`;
  }

  /** Only these columns. */
  pick<Name extends keyof C & string>(...names: readonly Name[]): Selection<C, Name> {
    return new Selection(this.name, this.declared, names);
  }

  /** All columns but these. */
  without<Name extends keyof C & string>(...names: readonly Name[]): Selection<C, Exclude<keyof C & string, Name>> {
    const isKept = (one: string): one is Exclude<keyof C & string, Name> => !names.some((name) => name === one);
    return new Selection(this.name, this.declared, Object.keys(this.declared).filter(isKept));
  }

  /** @param rest ON CONFLICT @returns the number of rows inserted or changed */
  insert(sql: Sql, row: NewRow<C>, rest = ""): number {
    const values: SqlValue[] = [];
    return sql.run(this.#insertText(row, rest, values), ...values);
  }

  /**
   * Inserts many rows with one statement, though the edge binds at most 100
   * values; with several where their texts are long. @param rest ON CONFLICT
   */
  insertAll(sql: Sql, rows: readonly NewRow<C>[], rest = ""): void {
    const [first] = rows;
    if (rows.length === 1 && first) this.insert(sql, first, rest);
    if (rows.length < 2) return;
    const all: readonly Readonly<Record<string, unknown>>[] = rows;
    const varying = varyingNames(all);
    const columns: Record<string, ManyValues> = {};
    for (const [name, codec] of this.#columns) {
      const value = all[0]?.[name];
      const absent = this.declared[name]?.parts.default ?? null;
      if (varying.has(name))
        columns[name] = all.map((row) => (row[name] === undefined ? absent : encodeWith(codec, row[name])));
      else if (value !== undefined) columns[name] = encodeWith(codec, value);
    }
    insertRows(sql, this.name, columns, rest === "" ? "" : `WHERE true ${rest}`);
  }

  /** Inserts the rows, or replaces those of the same keys. */
  putAll(sql: Sql, rows: readonly NewRow<C>[]): void {
    this.insertAll(sql, rows, this.#replacement);
  }

  /** @returns the row as stored; null where the conflict left it as it was */
  insertReturning(sql: Sql, row: NewRow<C>, rest = ""): Row<C> | null {
    const values: SqlValue[] = [];
    const query = this.#insertText(row, `${rest} RETURNING ${this.#all}`, values);
    return this.decode(sql.all<Row<C>>(query, ...values))[0] ?? null;
  }

  /** For a table with a {@link serial}. @returns the number of the new row */
  append(sql: Sql, row: NewRow<C>): number {
    const values: SqlValue[] = [];
    const query = this.#insertText(row, `RETURNING "${this.key[0]}" AS number`, values);
    const [inserted] = sql.all<{ number: number }>(query, ...values);
    if (!inserted) throw new Error(`a row of ${this.name} was not stored`);
    return inserted.number;
  }

  /** Inserts the row, or replaces that of the same key. */
  put(sql: Sql, row: NewRow<C>): number {
    return this.insert(sql, row, this.#replacement);
  }

  /** @returns the number of changed rows */
  update(sql: Sql, where: Where<C>, change: Where<C>): number {
    const bound: SqlValue[] = [];
    const condition = this.where(where, bound);
    let shape = condition;
    const values: SqlValue[] = [];
    for (const name in change) {
      const value = change[name];
      if (value === undefined) continue;
      shape += ` ${name}`;
      values.push(encodeWith(this.declared[name]?.parts.codec, value));
    }
    let query = this.#updates.get(shape);
    if (query === undefined) {
      const names = Object.keys(change).filter((name) => change[name] !== undefined);
      const changes = names.map((name) => `"${name}" = ?`).join(", ");
      this.#updates.set(shape, (query = `UPDATE ${this.name} SET ${changes} ${condition}`));
    }
    return sql.run(query, ...values, ...bound);
  }

  /** Updates rows by their only key. @param rows of equal columns; @param change of all */
  updateAll(sql: Sql, rows: readonly Where<C>[], change: Where<C>): void {
    const [key = ""] = this.key;
    const [first, ...others] = rows;
    if (!first) return;
    const { [key]: value, ...own } = first;
    if (others.length === 0) {
      const where = { [key]: value } as Where<C>;
      this.update(sql, where, Object.assign({}, change, own));
      return;
    }
    const names = Object.keys(own);
    const encode = (row: Where<C>, name: string): SqlValue =>
      encodeWith(this.declared[name]?.parts.codec, row[name] ?? null);
    const changes = Object.keys(change).map((name) => `"${name}" = ?`);
    changes.push(...names.map((name, at) => `"${name}" = given.value ->> ${at + 1}`));
    sql.run(
      `UPDATE ${this.name} SET ${changes.join(", ")} FROM json_each(?) AS given WHERE "${key}" = given.value ->> 0`,
      ...Object.keys(change).map((name) => encode(change, name)),
      JSON.stringify(rows.map((row) => [key, ...names].map((name) => encode(row, name)))),
    );
  }

  /** @returns the number of deleted rows */
  delete(sql: Sql, where: Where<C>): number {
    const values: SqlValue[] = [];
    return sql.run(`DELETE FROM ${this.name} ${this.where(where, values)}`, ...values);
  }

  has(sql: Sql, where: Where<C>): boolean {
    const values: SqlValue[] = [];
    return sql.all(`SELECT 1 FROM ${this.name} ${this.where(where, values)} LIMIT 1`, ...values).length > 0;
  }

  count(sql: Sql, where: Where<C> = {}): number {
    const values: SqlValue[] = [];
    const condition = Object.keys(where).length === 0 ? "" : this.where(where, values);
    return sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${this.name} ${condition}`, ...values)[0]?.n ?? 0;
  }

  /** @param values receives what is to be bound. A row may have more fields than the table. */
  #insertText(row: NewRow<C>, rest: string, values: SqlValue[]): string {
    const given: Readonly<Record<string, unknown>> = row;
    let shape = 0;
    for (const [name, codec] of this.#columns) {
      const value = given[name];
      shape = shape * 2 + (value === undefined ? 0 : 1);
      if (value !== undefined) values.push(encodeWith(codec, value));
    }
    let texts = this.#inserts.get(rest);
    if (texts === undefined) this.#inserts.set(rest, (texts = new Map()));
    let query = texts.get(shape);
    if (query === undefined) {
      const names = this.names.filter((name) => given[name] !== undefined);
      const marks = names.map(() => "?").join(", ");
      query = `INSERT INTO ${this.name} (${quoted(names).join(", ")}) VALUES (${marks}) ${rest}`;
      texts.set(shape, query);
    }
    return query;
  }
}

export function table<C extends Columns>(name: string, columns: C): Table<C> {
  return new Table(name, columns);
}

type ManyValues = SqlValue | readonly SqlValue[];

/** The edge takes values of less than 2 MB; a character has at most 3 bytes. */
const maxTextChars = 600_000;

/**
 * @param columns by name: an array has one value per row, anything else is the value of all rows.
 *   The arrays have equal lengths, and their texts are well-formed.
 * @param suffix an upsert clause
 */
function insertRows(sql: Sql, table: string, columns: Readonly<Record<string, ManyValues>>, suffix = ""): void {
  const lists = Object.values(columns).filter(isList);
  const steps = new Map(lists.map((list) => [list, stepOf(list)]));
  const varying = lists.filter((list) => steps.get(list) === null);
  const bound: SqlValue[] = [];
  const bind = (value: SqlValue): "?" => (bound.push(value), "?");
  const terms = Object.values(columns).map((column) => {
    if (!isList(column)) return bind(column);
    const step = steps.get(column);
    if (step === null) return varying.length === 1 ? "value" : `value ->> ${varying.indexOf(column)}`;
    return `${bind(column[0] ?? null)}${step === 0 ? "" : " + key"}`;
  });
  const rows = varying.length > 1 ? varying[0]?.map((_, row) => varying.map((list) => list[row])) : varying[0];
  const text = JSON.stringify(rows ?? lists[0]);
  const count = lists[0]?.length ?? 0;
  if (text.length > maxTextChars && count > 1) {
    for (const [from, to] of [[0, count >> 1] as const, [count >> 1, count] as const]) {
      const part = Object.entries(columns).map(
        ([name, one]) => [name, isList(one) ? one.slice(from, to) : one] as const,
      );
      insertRows(sql, table, Object.fromEntries(part), suffix);
    }
    return;
  }
  const names = quoted(Object.keys(columns)).join(", ");
  sql.run(`INSERT INTO ${table} (${names}) SELECT ${terms.join(", ")} FROM json_each(?) ${suffix}`, ...bound, text);
}

/** Row by row, since a loop over fields of one shape is four times as fast as one over rows. */
function varyingNames(rows: readonly Readonly<Record<string, unknown>>[]): ReadonlySet<string> {
  const names = Object.keys(rows[0] ?? {});
  const values = Object.values(rows[0] ?? {});
  const varying = new Set<string>();
  for (const row of rows) {
    let at = 0;
    for (const name in row) {
      if (name !== names[at]) varying.add(name).add(names[at] ?? "");
      else if (row[name] !== values[at]) varying.add(name);
      at += 1;
    }
    for (; at < names.length; at++) varying.add(names[at] ?? "");
  }
  return varying;
}

function isList(column: ManyValues): column is readonly SqlValue[] {
  return Array.isArray(column);
}

/** 0: all are equal; 1: numbers that grow by one; null: neither. */
function stepOf(list: readonly SqlValue[]): 0 | 1 | null {
  const [first] = list;
  if (list.every((value) => value === first)) return 0;
  return typeof first === "number" && list.every((value, row) => value === first + row) ? 1 : null;
}

/** Assignments of an ON CONFLICT: each column takes the new row's value. */
function excluded(names: readonly string[]): string {
  return quoted(names)
    .map((name) => `${name} = excluded.${name}`)
    .join(", ");
}

function quoted(names: readonly string[]): string[] {
  return names.map((name) => `"${name}"`);
}

/** Others bind as they are. */
function encodeWith(codec: Codec | undefined, value: unknown): SqlValue {
  return value === null || codec === undefined ? (value as SqlValue) : codec.encode(value);
}

/** Condition on one value or many, which bind as one: of one it is as fast as a comparison. */
export function among(values: readonly (string | number)[]): { readonly text: string; readonly value: SqlValue } {
  const [first = null] = values;
  return values.length === 1
    ? { text: "= ?", value: first }
    : { text: "IN (SELECT value FROM json_each(?))", value: JSON.stringify(values) };
}
