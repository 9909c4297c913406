// @effect/sql-pg, which the example cluster has its database from, names types that it does not
// bring: npm install -D @types/pg.
declare module "pg" {
  export type CustomTypesConfig = unknown
  export type Pool = unknown
}
