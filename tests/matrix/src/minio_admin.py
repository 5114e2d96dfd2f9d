"""What administrators of MinIO do: minio_admin ADDRESS ACCESS SECRET COMMAND ARGUMENT..."""

import json
import sys

from minio import MinioAdmin
from minio.credentials import StaticProvider

address, access, secret, command, *arguments = sys.argv[1:]
admin = MinioAdmin(endpoint=address, credentials=StaticProvider(access, secret), secure=False)
if command == "user-add":
    admin.user_add(*arguments)
elif command == "user-remove":
    admin.user_remove(*arguments)
elif command == "policy":
    user, policy = arguments
    admin.policy_add(user, policy=json.loads(policy))
    admin.policy_set(user, user=user)
elif command == "quota":
    bucket, size = arguments
    admin.bucket_quota_set(bucket, int(size))
else:
    sys.exit(f"no command {command}")
