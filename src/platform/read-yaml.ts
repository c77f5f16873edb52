import { isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Node } from "yaml";
import type { Json } from "../contract/values.ts";
import { messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";

/** A text in YAML or JSON. */
export interface YamlText {
  readonly value: Json;
  /** Line of the path's deepest existing node; the first line is 1. */
  lineOf(path: readonly PropertyKey[]): number;
}

export interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

/** Against aliases of aliases, whose values would fill the memory. */
const maxAliasCount = 1_000;

export function readYaml(text: string): Result<YamlText, YamlProblem> {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  try {
    const options = { lineCounter: lines, prettyErrors: false, stringKeys: true, resolveKnownTags: false };
    const document = parseDocument(text, options);
    const [problem] = [...document.errors, ...document.warnings];
    if (problem) return err({ line: lineAt(problem.pos[0]), message: problem.message });
    const value = document.toJS({ maxAliasCount }) as Json;
    // Throws for a node that contains itself, too.
    JSON.stringify(value, refuseOtherNumbers);
    return ok({ value, lineOf: (path) => lineAt(nodeAt(document.contents, path)?.range?.[0] ?? 0) });
  } catch (error) {
    const message = error instanceof RangeError ? "nested too deep" : (messageOf(error).split("\n")[0] ?? "");
    return err({ line: 1, message });
  }
}

function refuseOtherNumbers(_name: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${value} is not a JSON value`);
  return value;
}

/** Stops at the deepest existing node. A field's node is its name. */
function nodeAt(root: Node | null, path: readonly PropertyKey[]): Node | null {
  let last = root;
  let node: unknown = root;
  for (const step of path) {
    const item = isSeq(node)
      ? node.items[Number(step)]
      : isMap(node) && node.items.find(({ key }) => isScalar(key) && key.value === step);
    if (!item) return last;
    last = (isPair(item) ? item.key : item) as Node;
    node = isPair(item) ? item.value : item;
  }
  return last;
}
