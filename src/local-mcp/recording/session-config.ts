import type { Config } from "../../contract/config.ts";
import { findParameter, isInRange } from "../../experiments/parameters.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import type { Sql } from "../../shared/sql.ts";

interface TrialValue {
  readonly key: string;
  readonly value: number;
}

/** [EX52] The settings of the machine with what experiments change for this session. */
export function sessionConfig(sql: Sql, config: Config, sessionId: string): Config {
  const values = sql.all<TrialValue>(
    `SELECT key, value FROM trial_values
     WHERE scope = 'all' OR EXISTS (
       SELECT 1 FROM exposures WHERE unit = ? AND experiment = trial_values.experiment AND arm = 'treatment')
     ORDER BY experiment`,
    sessionId,
  );
  return values.filter(isAllowed).reduce((changed, { key, value }) => withSetting(changed, key, value), config);
}

/** [EX50] A row that no experiment of this program could have written changes nothing. */
function isAllowed({ key, value }: TrialValue): boolean {
  const parameter = findParameter(key);
  return parameter !== null && isInRange(parameter, value);
}

/** For work outside a transaction. */
export function withSessionConfig(runtime: Runtime, sessionId: string): Runtime {
  const config = runtime.store.read((sql) => sessionConfig(sql, runtime.config, sessionId), runtime.config);
  return config === runtime.config ? runtime : { ...runtime, config };
}
