import type { InputOf, OperationName } from "../contract/operations.ts";
import { redactJson } from "./redact.ts";

export interface RedactedInput<Name extends OperationName> {
  readonly input: InputOf<Name>;
  /** How many secrets were taken out. */
  readonly count: number;
}

/** Sealed contents, and names of machines beside tokens that the coordinator itself makes. */
const withoutTexts = /^(?:sync|tokens|workspaces)\./;

/** [RD12] What a coordinator may be given to store: texts, keys and names without secrets. The same input is always redacted alike. */
export function redactInput<Name extends OperationName>(name: Name, input: InputOf<Name>): RedactedInput<Name> {
  if (withoutTexts.test(name)) return { input, count: 0 };
  const { value, count } = redactJson(input);
  // Redaction puts strings in place of strings.
  return { input: value as InputOf<Name>, count };
}
