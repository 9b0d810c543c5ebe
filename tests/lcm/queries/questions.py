"""Filters that a network's operators ask for, each with what it needs at most of the indexes."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lcm.queries.population import Population

INSTANCES, OP_OCCS = "/vnflcm/v2/vnf_instances", "/vnflcm/v2/vnf_lcm_op_occs"


@dataclass(frozen=True)
class Question:
    """A list that is asked for.

    :ivar filter: empty for the whole list.
    :ivar after: the marker of the page, empty for the first one.
    """

    path: str
    filter: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.path.rpartition('/')[2]} {self.filter or 'all'}{' last page' if self.after else ''}"


def questions(population: Population) -> list[Question]:
    """The lists, their last pages, and filters by each indexed attribute for what is frequent and for what is rare."""
    vnf, other, name = population.vnf_ids[len(population.vnf_ids) // 2], population.vnf_ids[7], population.name
    vnfd, rare = population.vnfds[0], population.vnfds[-1]
    instances = [
        f"(eq,id,{vnf})",
        f"(eq,vnfInstanceName,{name})",
        f"(in,vnfInstanceName,{name},nobody,none)",
        "(gte,vnfInstanceName,edge-core-7);(lt,vnfInstanceName,edge-core-70)",
        "(cont,vnfInstanceName,edge)",
        f"(cont,vnfInstanceName,{name[2:]})",
        "(cont,vnfInstanceName,'50%_')",
        f"(eq,vnfdId,{vnfd})",
        f"(eq,vnfdId,{rare})",
        f"(in,vnfdId,{vnfd},{rare})",
        f"(cont,vnfdId,{rare[-8:]})",
        "(eq,instantiationState,NOT_INSTANTIATED)",
        "(neq,instantiationState,INSTANTIATED)",
        "(cont,instantiationState,NOT)",
        "(eq,vnfProvider,Forestay)",
        "(neq,vnfProvider,Forestay)",
        "(nin,vnfProvider,Forestay,Acme,'Nordic Networks','O''Brien, (Sons)')",
        "(cont,vnfProvider,nobody)",
        "(in,vnfProductName,product-39,product-38)",
        "(cont,vnfProductName,duct-39)",
        "(eq,vnfProvider,tiny);(eq,instantiationState,NOT_INSTANTIATED);(neq,vnfProductName,product-0)",
        f"(eq,vnfdId,{vnfd});(eq,vnfProductName,product-3)",
        "(eq,vnfProvider,Acme);(cont,vnfInstanceName,gw-dns);(eq,instantiationState,INSTANTIATED)",
    ]
    op_occs = [
        "(eq,operationState,COMPLETED)",
        "(eq,operationState,FAILED_TEMP)",
        "(in,operationState,STARTING,PROCESSING,ROLLING_BACK)",
        "(neq,operationState,COMPLETED)",
        "(nin,operationState,COMPLETED,FAILED,ROLLED_BACK)",
        "(cont,operationState,TEMP)",
        "(eq,operation,HEAL)",
        "(eq,operation,OPERATE)",
        "(ncont,operation,E)",
        f"(eq,vnfInstanceId,{vnf})",
        f"(in,vnfInstanceId,{vnf},{other})",
        "(gt,startTime,2026-10-27T20:00:00Z)",
        "(gt,startTime,2026-06-01T00:00:00Z)",
        "(gte,startTime,2026-06-01T00:00:00Z);(lt,startTime,2026-06-01T12:00:00%2B02:00)",
        "(neq,startTime,2026-06-01T00:00:00Z)",
        "(eq,operationState,FAILED);(gt,startTime,2026-10-20T00:00:00Z)",
        "(eq,operationState,FAILED);(eq,operation,HEAL);(gt,startTime,2026-02-22T00:00:00Z)",
        f"(eq,vnfInstanceId,{vnf});(neq,operationState,COMPLETED)",
    ]
    return [
        Question(INSTANCES),
        Question(INSTANCES, after=population.vnf_ids[-30]),
        *(Question(INSTANCES, each) for each in instances),
        Question(INSTANCES, "(eq,vnfProvider,Forestay)", population.vnf_ids[-90]),
        Question(OP_OCCS),
        Question(OP_OCCS, after=population.op_ids[-30]),
        *(Question(OP_OCCS, each) for each in op_occs),
        Question(OP_OCCS, "(eq,operationState,FAILED)", population.op_ids[-3000]),
    ]
