/** Name of the tracker's database on its MySQL server. */
export const mysqlDatabase = "torrust_tracker";
