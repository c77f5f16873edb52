import type { InputOf, OperationName } from "../contract/operations.ts";
import { redactJson } from "./redact.ts";

export interface RedactedInput<Name extends OperationName> {
  readonly input: InputOf<Name>;
  readonly count: number;
}

/** Sealed contents, and names beside tokens that the coordinator makes. */
const withoutTexts = /^(?:sync|tokens|workspaces)\./;

/** [RD12] Same input, same redaction. */
export function redactInput<Name extends OperationName>(name: Name, input: InputOf<Name>): RedactedInput<Name> {
  if (withoutTexts.test(name)) return { input, count: 0 };
  const { value, count } = redactJson(input);
  return { input: value as InputOf<Name>, count };
}
