"""What can go wrong with objects, and how the driver's errors become it. Import the classes from `objects`."""

from collections.abc import Iterator
from contextlib import contextmanager

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from modelyard_store.documents import StoreUnavailable


class ObjectError(Exception):
    """Anything the object store refused. The message names bucket and key."""


class NoSuchBucket(ObjectError):
    """The bucket does not exist."""


class NoSuchObject(ObjectError):
    """There is no object at this key, or no upload with this id."""


class ObjectChanged(ObjectError):
    """The object is not the one that was looked at before: somebody wrote to its key meanwhile."""


class AccessDenied(ObjectError):
    """The store does not accept the credentials, or not for this."""


class ObjectTooLarge(ObjectError):
    """The object is larger than the caller allowed."""


class ObjectStoreUnavailable(ObjectError, StoreUnavailable):
    """The store cannot be reached or fails. The operation may or may not have happened."""

    what = "the object store"


class Stopped(Exception):
    """The caller was cancelled."""


_BY_CODE: dict[str, type[ObjectError]] = {
    "NoSuchBucket": NoSuchBucket,
    "NoSuchKey": NoSuchObject,
    "NoSuchUpload": NoSuchObject,
    "PreconditionFailed": ObjectChanged,
    "AccessDenied": AccessDenied,
    "InvalidAccessKeyId": AccessDenied,
    "SignatureDoesNotMatch": AccessDenied,
    "EntityTooLarge": ObjectTooLarge,
    "InternalError": ObjectStoreUnavailable,
    "ServiceUnavailable": ObjectStoreUnavailable,
    "SlowDown": ObjectStoreUnavailable,
    "RequestTimeout": ObjectStoreUnavailable,
}


@contextmanager
def translated(bucket: str, key: str = "") -> Iterator[None]:
    """Raises ObjectError for what the driver raises."""
    place = f"{bucket}/{key}" if key else bucket
    try:
        yield
    except S3Error as error:
        raise _BY_CODE.get(error.code or "", ObjectError)(f"{place}: {error.code}: {error.message}") from error
    except (ServerError, InvalidResponseError, HTTPError) as error:
        raise ObjectStoreUnavailable(f"{place}: {error}") from error
    except (MinioException, ValueError) as error:  # the driver refuses impossible names itself
        raise ObjectError(f"{place}: {error}") from error
