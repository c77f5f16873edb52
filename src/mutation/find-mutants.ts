import { type AstGrep, parseSource, type SgNode } from "./ast-grep.ts";
import { type Mutant, mutate, type Range, withIds } from "./mutant.ts";
import { type Operator, operators } from "./operators.ts";

const kinds = (...names: string[]): { any: { kind: string }[] } => ({ any: names.map((kind) => ({ kind })) });

/** Calls whose arguments are text for people, or which load modules. */
const ignoredCall = {
  kind: "call_expression",
  has: { field: "function", regex: "^(console|log|logger|debug|require|import|super)\\b|\\.(logger|log|debug)\\." },
};

/** [MU2] An ast-grep rule for what has no effect at run time, or none that a test should see. */
const excluded = {
  any: [
    {
      inside: {
        stopBy: "end" as const,
        any: [
          ...kinds("import_statement", "type_annotation", "type_arguments", "type_parameters", "literal_type").any,
          ...kinds("type_alias_declaration", "interface_declaration", "ambient_declaration", "template_literal_type")
            .any,
          ignoredCall,
        ],
      },
    },
    { inside: { kind: "export_statement", field: "source" } },
    { kind: "string", inside: { kind: "expression_statement" } },
    { kind: "string", inside: { kind: "pair", field: "key" } },
    { kind: "template_string", inside: { kind: "call_expression" } },
    { kind: "expression_statement", has: { any: [ignoredCall, { kind: "await_expression", has: ignoredCall }] } },
  ],
};

/** Pure. In the order of their positions; none that does not parse, and none twice. */
export function findMutants(astGrep: AstGrep, file: string, source: string): Mutant[] {
  const root = parseSource(astGrep, file, source);
  const found = operators.flatMap((operator) => mutantsOf(root, operator, file));
  const unique = new Map(found.map((mutant) => [`${mutant.start} ${mutant.end} ${mutant.after}`, mutant]));
  const ordered = [...unique.values()].sort((a, b) => a.start - b.start || b.end - a.end);
  return withIds(ordered);
}

function mutantsOf(root: SgNode, { name, kinds: names, edits }: Operator, file: string): Omit<Mutant, "id">[] {
  const nodes = root.findAll({ rule: { all: [kinds(...names), { not: excluded }] } });
  return nodes.flatMap((node) =>
    edits(node).map((edit) => {
      const { start, end } = edit.node.range();
      const before = edit.node.text();
      return {
        file,
        operator: name,
        range: toRange(edit.node),
        start: start.index,
        end: end.index,
        before,
        after: edit.text,
      };
    }),
  );
}

function toRange(node: SgNode): Range {
  const { start, end } = node.range();
  return { line: start.line + 1, column: start.column + 1, endLine: end.line + 1, endColumn: end.column + 1 };
}

/** Whether the mutated text still parses, where the text before did. */
export function parses(astGrep: AstGrep, mutant: Mutant, source: string): boolean {
  return !hasError(astGrep, mutant.file, mutate(source, mutant)) || hasError(astGrep, mutant.file, source);
}

function hasError(astGrep: AstGrep, file: string, source: string): boolean {
  return parseSource(astGrep, file, source).find({ rule: { kind: "ERROR" } }) !== null;
}
