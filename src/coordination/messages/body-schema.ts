import { validate, type Schema } from "@cfworker/json-schema";
import type { Json } from "../../contract/values.ts";
import { messageOf } from "../../shared/error.ts";
import { SchemaSteps } from "./schema-steps.ts";

/** Whether a body fits a JSON Schema (2019-09). A library validates; its steps are bounded before it starts. Pure. */

/** [MS5] [MS16] Why a schema cannot be used; null when it can. */
export function findSchemaProblem(schema: Json): string | null {
  return messageIfThrown(() => void new SchemaSteps(schema));
}

/** [MS5] [MS16] Where and why a body does not fit; null when it does. */
export function findBodyProblem(schema: Json, body: Json): string | null {
  return messageIfThrown(() => {
    const steps = prepareSteps(schema);
    steps.count(schema, body);
    const { valid, errors } = validate(body, schema as Schema, "2019-09", steps.refs);
    // The last one lies deepest.
    const { instanceLocation = "#", error = "it does not fit" } = errors.at(-1) ?? {};
    if (!valid) throw new Error(`${instanceLocation}: ${error}`);
  });
}

/** An older version may have stored one that cannot be used. */
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
