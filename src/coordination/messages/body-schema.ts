import { validate, type Schema } from "@cfworker/json-schema";
import type { Json } from "../../contract/json.ts";
import { messageOf } from "../../shared/error.ts";
import { SchemaSteps } from "./schema-steps.ts";

/** JSON Schema (2019-09), by a library whose steps are bounded first. Pure. */

/** [MS21] [MS24] Reason why a schema cannot be used; null: it can. */
export function findSchemaProblem(schema: Json): string | null {
  return messageIfThrown(() => void new SchemaSteps(schema));
}

/**
 * [MS5] [MS23] Position and reason of a mismatch; null: the body fits.
 * @param spend is called with the steps of the check
 */
export function findBodyProblem(schema: Json, body: Json, spend?: (steps: number) => void): string | null {
  return messageIfThrown(() => {
    const steps = prepareSteps(schema);
    try {
      steps.count(schema, body);
    } finally {
      spend?.(steps.spent);
    }
    const { valid, errors } = validate(body, schema as Schema, "2019-09", steps.refs);
    const { instanceLocation = "#", error = "it does not match" } = errors.at(-1) ?? {};
    if (!valid) throw new Error(`${instanceLocation}: ${error}`);
  });
}

function prepareSteps(schema: Json): SchemaSteps {
  try {
    return new SchemaSteps(schema);
  } catch (error) {
    const why = `its schema cannot be used, set another one (messages.set-topic-schema): ${messageOf(error)}`;
    throw new Error(why, { cause: error });
  }
}

function messageIfThrown(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
