import Database from "better-sqlite3";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { storeRules } from "../../rules/store.ts";
import { storeContentRules, textIndexRules } from "../../rules/store-contents.ts";
import { storeDamageRules } from "../../rules/store-damage.ts";
import { storeSalvageRules } from "../../rules/store-salvage.ts";
import { storeUpkeepRules } from "../../rules/store-upkeep.ts";

storeRules(openBetterSqlite3);
storeDamageRules(openBetterSqlite3, (path, statement) => {
  const db = new Database(path);
  db.unsafeMode(true).exec(statement);
  db.close();
});
storeContentRules(openBetterSqlite3);
storeUpkeepRules(openBetterSqlite3);
textIndexRules(openBetterSqlite3);
storeSalvageRules(openBetterSqlite3);
