// Run once by the MongoDB image on an empty volume: each service may use its own database and no other.
for (const service of ["convert", "evaluate", "gateway", "import", "publish", "version"]) {
  db.getSiblingDB(service).createUser({
    user: service,
    pwd: process.env[`MONGO_PASSWORD_${service.toUpperCase()}`],
    roles: [{ role: "readWrite", db: service }],
  });
}
