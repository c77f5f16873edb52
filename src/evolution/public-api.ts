import { posix } from "node:path";

/** Pure. Declarations that users of a package can reach from its entries. */

interface Statement {
  readonly text: string;
  readonly names: readonly string[];
  readonly isExported: boolean;
}

interface Binding {
  readonly local: string;
  readonly imported: string;
  readonly specifier: string;
}

interface Module {
  readonly statements: readonly Statement[];
  readonly imports: readonly Binding[];
  /** `export { a as b } from`; `*` for all. */
  readonly reexports: readonly Binding[];
}

/** Requests everything that a module exports. */
const all = "*";

/**
 * [EV6] Lists the declarations that are reachable from the entries, sorted: what a module keeps to
 * itself may change.
 *
 * @param files declaration files by path
 * @param entries paths of declaration files
 */
export function publicApi(files: ReadonlyMap<string, string>, entries: readonly string[]): string[] {
  const modules = new Map([...files].map(([path, text]) => [path, parseModule(text)]));
  const found = new Set<string>();
  const queue = entries.map((path): [path: string, name: string] => [path, all]);
  const seen = new Set<string>();
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [path, name] = next;
    const module = modules.get(path);
    if (seen.has(`${path} ${name}`) || !module) continue;
    seen.add(`${path} ${name}`);
    const { texts, requests } = reach(module, name);
    for (const text of texts) found.add(text);
    for (const { specifier, imported } of requests) {
      const target = resolveModule(modules, path, specifier);
      if (target === null) found.add(`${imported} of ${specifier}`);
      else queue.push([target, imported]);
    }
  }
  for (const entry of entries) for (const text of entryTexts(modules.get(entry), entry)) found.add(text);
  return [...found].toSorted();
}

/** Names that an entry passes on, which are no declarations of its own. */
function entryTexts(module: Module | undefined, entry: string): string[] {
  if (!module) return [];
  const own = module.statements.flatMap(({ isExported, names }) => (isExported ? names : []));
  const passed = module.reexports.map(({ local, imported, specifier }) => `${imported} as ${local} of ${specifier}`);
  return [...own.map((name) => `${entry} exports ${name}`), ...passed.map((text) => `${entry} exports ${text}`)];
}

function reach(module: Module, name: string): { texts: Set<string>; requests: Binding[] } {
  const { statements, imports, reexports } = module;
  const texts = new Set<string>();
  const requests: Binding[] = [];
  const isRequested = ({ local }: Binding): boolean => name === all || local === name || local === all;
  for (const one of reexports.filter(isRequested))
    requests.push(one.local === all && name !== all ? { ...one, imported: name } : one);
  const queue = statements.filter(({ isExported, names }) => (name === all ? isExported : names.includes(name)));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (texts.has(next.text)) continue;
    texts.add(next.text);
    const words = new Set(next.text.match(/[\w$]+/g));
    queue.push(...statements.filter(({ names }) => names.some((one) => words.has(one))));
    requests.push(...imports.filter(({ local }) => words.has(local)));
    for (const [, specifier = "", imported = all] of next.text.matchAll(/import\("([^"]+)"\)(?:\.([\w$]+))?/g))
      requests.push({ local: imported, imported, specifier });
  }
  return { texts, requests };
}

const statementStart = /^[a-z]/;
const declaration =
  /^(export )?(?:default )?(?:declare )?(?:abstract )?(?:function\*?|class|interface|type|enum|const enum|const|let|var|namespace|module) ([\w$]+)/;

/** Declaration files have each statement at the start of a line. */
function parseModule(text: string): Module {
  const lines = text.replaceAll(/\/\*[\s\S]*?(?:\*\/|$)/g, "").split("\n");
  const statements: string[] = [];
  for (const line of lines.filter((one) => one.trim() !== "" && !one.trimStart().startsWith("//"))) {
    if (statementStart.test(line) || statements.length === 0) statements.push(line);
    else statements.push(`${statements.pop() ?? ""}\n${line}`);
  }
  const normal = statements.map((one) => one.trim().replaceAll(/\s+/g, " "));
  return {
    statements: withExportLists(normal.flatMap(parseStatement), normal),
    imports: normal.flatMap(parseImport),
    reexports: normal.flatMap(parseReexport),
  };
}

function parseStatement(text: string): Statement[] {
  if (text.startsWith("import ") || /^export (?:type )?(?:\{|\*)/.test(text)) return [];
  const [, exported, name] = declaration.exec(text) ?? [];
  const isExported = exported !== undefined || text.startsWith("export ");
  return [{ text, names: name === undefined ? ["default"] : [name], isExported }];
}

/** `export { a, b as c };` makes declarations of the file public. */
function withExportLists(statements: readonly Statement[], texts: readonly string[]): Statement[] {
  const lists = texts.flatMap((text) => /^export (?:type )?\{([^}]*)\};?$/.exec(text)?.[1] ?? []);
  const bindings = lists.flatMap((list) => parseNames(list, ""));
  return statements.map((one) => {
    const exportedAs = bindings.filter(({ imported }) => one.names.includes(imported)).map(({ local }) => local);
    if (exportedAs.length === 0) return one;
    return { ...one, names: [...new Set([...one.names, ...exportedAs])], isExported: true };
  });
}

function parseImport(text: string): Binding[] {
  const [, what = "", specifier = ""] = /^import (?:type )?(.+) from "([^"]+)"/.exec(text) ?? [];
  if (specifier === "") return [];
  const names = parseNames(/\{([^{}]*)\}/.exec(what)?.[1] ?? "", specifier);
  const whole = [
    { local: /\* as ([\w$]+)/.exec(what)?.[1], imported: all },
    { local: /^([\w$]+)/.exec(what)?.[1], imported: "default" },
  ];
  return names.concat(
    whole.flatMap(({ local, imported }) => (local === undefined ? [] : { local, imported, specifier })),
  );
}

function parseReexport(text: string): Binding[] {
  const [, what = "", specifier = ""] = /^export (?:type )?(.+) from "([^"]+)"/.exec(text) ?? [];
  if (specifier === "") return [];
  const list = /\{([^{}]*)\}/.exec(what)?.[1];
  if (list !== undefined) return parseNames(list, specifier);
  return [{ local: /\* as ([\w$]+)/.exec(what)?.[1] ?? all, imported: all, specifier }];
}

function parseNames(list: string, specifier: string): Binding[] {
  return list
    .split(",")
    .map((one) => one.trim().replace(/^type /, ""))
    .filter((one) => one !== "")
    .map((one) => {
      const [imported = one, local = imported] = one.split(/ as /);
      return { local, imported, specifier };
    });
}

/** @returns null: a package */
function resolveModule(modules: ReadonlyMap<string, Module>, from: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  const path = posix.join(posix.dirname(from), specifier);
  const bare = path.replace(/(?:\.d)?\.([cm]?)[jt]sx?$/, "");
  const names = [bare, path, posix.join(path, "index")].flatMap((one) => [
    `${one}.d.ts`,
    `${one}.d.mts`,
    `${one}.d.cts`,
  ]);
  return names.find((name) => modules.has(name)) ?? null;
}

const emittedFolders = ["", "src/", "lib/", "source/"];

/**
 * Maps what a package.json names (`dist/index.js`, `src/index.ts`) to emitted declarations, which
 * mirror the sources.
 *
 * @returns null where a name leads to none
 */
export function findEntries(named: readonly string[], emitted: ReadonlySet<string>): string[] | null {
  const found = named.map((name) => {
    const path = posix.normalize(name).replace(/(?:\.d)?\.[cm]?[jt]sx?$/, "");
    const rests = path.split("/").map((_, at, parts) => parts.slice(at).join("/"));
    const paths = [path, ...rests.slice(1).flatMap((rest) => emittedFolders.map((folder) => folder + rest))];
    return paths.flatMap((one) => [`${one}.d.ts`, `${one}.d.mts`, `${one}.d.cts`]).find((one) => emitted.has(one));
  });
  return found.every((path) => path !== undefined) ? [...new Set(found)] : null;
}

/** Files that a package.json opens to users; without any, the usual main files. */
export function namedEntries(manifest: Readonly<Record<string, unknown>>): string[] {
  const { exports, types, typings, main, module } = manifest;
  const leaves = stringsIn([exports, types, typings, main, module]);
  return [...new Set(leaves.filter((path) => /\.[cm]?[jt]sx?$/.test(path)))];
}

export const usualEntries = ["index.ts", "src/index.ts", "src/main.ts"];

function stringsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}
