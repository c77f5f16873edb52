/** A group of an experiment, as Statsig's rules have it. */
function group(arm: string, below: number, named: boolean) {
  const bucket = { type: "user_bucket", operator: "lt", targetValue: below, additionalValues: { salt: "arms" } };
  const rule = { name: arm, groupName: arm, id: `rule-${arm}`, salt: "", passPercentage: 100, isExperimentGroup: true };
  const conditions = [{ ...bucket, field: null, idType: "userID" }];
  return { ...rule, idType: "userID", returnValue: named ? { arm } : {}, conditions };
}

/** Nine tenths of the units are in the experiment. */
export function statsigRules(name: string, arms: readonly [string, string], named = true): string {
  const excluded = {
    name: "layerAssignment",
    id: "layerAssignment",
    salt: "",
    passPercentage: 100,
    idType: "userID",
    returnValue: {},
    conditions: [
      {
        type: "user_bucket",
        operator: "gte",
        targetValue: 900,
        additionalValues: { salt: "share" },
        field: null,
        idType: "userID",
      },
    ],
  };
  const rules = [excluded, group(arms[0], 500, named), group(arms[1], 1000, named)];
  const spec = { name, type: "dynamic_config", salt: "arms", enabled: true, defaultValue: {}, rules };
  const configs = [{ ...spec, entity: "experiment", isActive: true, idType: "userID" }];
  return JSON.stringify({ has_updates: true, time: 1, feature_gates: [], layer_configs: [], dynamic_configs: configs });
}
