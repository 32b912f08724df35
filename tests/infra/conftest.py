"""No test reaches AWS: credentials are dummies, and the region is fixed."""

import os

os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION="eu-central-1",
    SAM_CLI_TELEMETRY="0",
)
