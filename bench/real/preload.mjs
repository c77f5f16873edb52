// Loaded into SHIM's programs by NODE_OPTIONS: the clock of a recorded session.
import { openSync, readSync } from "node:fs";

const { SHIM_BENCH_CLOCK: clock } = process.env;
if (clock) {
  const file = openSync(clock, "r");
  const ahead = new Float64Array(1);
  const SystemDate = Date;
  const now = () => {
    readSync(file, ahead, 0, ahead.byteLength, 0);
    return Math.round(SystemDate.now() + ahead[0]);
  };
  globalThis.Date = class extends SystemDate {
    constructor(...given) {
      if (given.length === 0) super(now());
      else super(...given);
    }

    static now() {
      return now();
    }
  };
}
