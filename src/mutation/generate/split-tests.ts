import { type AstGrep, parseSource, type SgNode } from "../ast-grep.ts";
import type { ProposedTests } from "./judge.ts";

const testCall = /^(?:await\s+)?(?:it|test)\b/;

/** Pure. The tests of a whole file, each of which can be left out; hooks and helpers stay. */
export function splitTests(astGrep: AstGrep, path: string, text: string): ProposedTests {
  const found = parseSource(astGrep, path, text)
    .findAll({ rule: { kind: "expression_statement" } })
    .filter((node) => testCall.test(node.text()) && !isInTest(node))
    .map((node) => node.range());
  return {
    path,
    count: found.length,
    render: (kept) => {
      const left = found.filter((_, index) => !kept.includes(index)).toReversed();
      let rest = text;
      for (const { start, end } of left) {
        rest = rest.slice(0, start.index).trimEnd() + rest.slice(end.index);
      }
      return rest;
    },
  };
}

function isInTest(node: SgNode): boolean {
  return node.ancestors().some((one) => one.is("expression_statement") && testCall.test(one.text()));
}
