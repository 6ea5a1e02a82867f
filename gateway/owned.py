"""What is a caller's own."""

from gateway.auth.caller import Caller
from gateway.dependencies import Services
from shared.errors import JobNotFound
from shared.ports import JobView

JOB_ID_LENGTH = 36  # a UUID; longer ones are no ids of ours, and have no place in an answer


async def own_job(job_id: str, services: Services, caller: Caller) -> JobView:
    """Return the job if it is the caller's; another tenant's is as good as none.

    Raises:
        JobNotFound: it is not there, or not the caller's.
    """
    view = await services.jobs.view(job_id) if len(job_id) == JOB_ID_LENGTH else None
    if view is None or not caller.sees(view.job.tenant):
        raise JobNotFound(job_id[:JOB_ID_LENGTH])
    return view
