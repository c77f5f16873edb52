import { posix } from "node:path";
import { type AstGrep, type SgNode, sourceExtension } from "../ast-grep.ts";
import { withoutExtension } from "../project.ts";
import { type ExportedFunction, type ModuleFacts, readModule } from "./module-exports.ts";

/** Names through which a function reaches the world, time, chance or shared state. */
const impureNames =
  /\b(?:process|globalThis|global|window|document|navigator|localStorage|sessionStorage|fetch|XMLHttpRequest|WebSocket|EventSource|Worker|performance|crypto|Deno|Bun|eval|Function|require|set(?:Timeout|Interval|Immediate)|queueMicrotask|Date\.now|Math\.random|Atomics|SharedArrayBuffer|WeakRef|__dirname|__filename)\b|\bnew Date\b(?!\s*\(\s*[^)\s])|(?<!\bnew )(?<![\w.])Date\s*\(|\bimport\s*[.(]|\bthis\b/;

const pureBuiltins = new Set(["path", "url", "util", "querystring", "buffer", "string_decoder", "assert", "punycode"]);

export interface Modules {
  readonly astGrep: AstGrep;
  /** Text of a file of the project; null: there is none. */
  readonly read: (file: string) => string | null;
  /** Path of an imported file of the project, perhaps without its extension. */
  readonly resolve: (from: string, specifier: string) => string | null;
}

/**
 * [MU21] Whether neither the function nor what it uses names anything impure. Packages count as
 * impure, since their code is not read. A guess, so that nothing harmful is called: results are
 * compared besides.
 */
export function isLikelyPure(modules: Modules, file: string, facts: ModuleFacts, { node }: ExportedFunction): boolean {
  return isPure(modules, { file, facts, seen: new Set([file]) }, [node]);
}

interface Position {
  readonly file: string;
  readonly facts: ModuleFacts;
  /** Files that have been read. */
  readonly seen: Set<string>;
}

function isPure(modules: Modules, position: Position, open: SgNode[]): boolean {
  const { declarations, root } = position.facts;
  const imports = importsOf(root);
  const visited = new Set<string>();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (impureNames.test(codeOf(node))) return false;
    for (const name of namesIn(node)) {
      if (visited.has(name)) continue;
      visited.add(name);
      const specifier = imports.get(name);
      if (specifier !== undefined && !isPureImport(modules, position, specifier)) return false;
      const declared = declarations.get(name);
      if (declared !== undefined) open.push(declared);
    }
  }
  return true;
}

function isPureImport(modules: Modules, position: Position, specifier: string): boolean {
  const base = modules.resolve(position.file, specifier);
  if (base === null) return pureBuiltins.has(specifier.replace(/^node:/, ""));
  const file = candidates(base).find((path) => modules.read(path) !== null);
  if (file === undefined) return false;
  if (position.seen.has(file)) return true;
  position.seen.add(file);
  const facts = readModule(modules.astGrep, file, modules.read(file) ?? "");
  const parts = facts.root.children().filter((child) => !child.is("import_statement") && !isRequire(child));
  return isPure(modules, { ...position, file, facts }, parts) && isPureReexport(modules, { ...position, file, facts });
}

function isPureReexport(modules: Modules, position: Position): boolean {
  const sources = position.facts.root.children().flatMap((child) => {
    const source = child.is("export_statement") ? child.field("source") : null;
    return source === null ? [] : [unquoted(source)];
  });
  return sources.every((source) => isPureImport(modules, position, source));
}

function candidates(base: string): string[] {
  const stem = withoutExtension(base);
  const extensions = [".ts", ".tsx", ".mts", ".cts", ".js", ".mjs", ".cjs", ".jsx"];
  const all = [stem, posix.join(base, "index")].flatMap((one) => extensions.map((extension) => one + extension));
  return sourceExtension.test(base) ? [base, ...all] : all;
}

/** Names that a module imports, each with its specifier. Imports of types only have no effect. */
function importsOf(root: SgNode): Map<string, string> {
  const found = root.children().flatMap((statement): [string, string][] => {
    const source = statement.is("import_statement") ? statement.field("source") : null;
    if (source !== null && !/^import\s+type\b/.test(statement.text())) {
      return namesIn(statement).map((name) => [name, unquoted(source)]);
    }
    const required = isRequire(statement) ? /\brequire\(\s*["']([^"']+)["']/.exec(statement.text())?.[1] : undefined;
    return required === undefined ? [] : namesIn(statement).map((name) => [name, required]);
  });
  return new Map(found.filter(([name]) => name !== "require"));
}

function isRequire(statement: SgNode): boolean {
  return /^(?:const|let|var)\b[^=]*=\s*require\(/.test(statement.text());
}

function namesIn(node: SgNode): string[] {
  const kinds = ["identifier", "shorthand_property_identifier", "shorthand_property_identifier_pattern"];
  const names = node.findAll({ rule: { any: kinds.map((kind) => ({ kind })) } }).map((one) => one.text());
  return [...new Set(names)];
}

/** Text without comments and strings. */
function codeOf(node: SgNode): string {
  const hidden = node.findAll({ rule: { any: [{ kind: "comment" }, { kind: "string_fragment" }, { kind: "regex" }] } });
  const from = node.range().start.index;
  let text = node.text();
  for (const part of hidden.toReversed()) {
    const { start, end } = part.range();
    text = text.slice(0, start.index - from) + text.slice(end.index - from);
  }
  return text;
}

function unquoted(node: SgNode): string {
  return node.text().slice(1, -1);
}
